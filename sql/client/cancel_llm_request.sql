-- pending or processing -> cancelled. A running call is aborted by its orchestrator.
create function llmq.cancel_llm_request(request_id uuid, reason text = null) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_held llmq.in_flight := llmq.lock_unfinished(request_id);
begin
  if v_held.id is null or not llmq.may_use_agent(v_held.agent_id) then
    if not exists (select from llmq.results as f where f.id = request_id and llmq.may_use_agent(f.agent_id)) then
      perform llmq.raise_not_found(request_id);
    end if;
    return false;
  end if;
  perform llmq.end_unfinished(array[v_held], 'cancelled', null, reason, 'cancelled');
  return true;
end
$$;
comment on function llmq.cancel_llm_request(uuid, text) is
$$Ends a waiting or running request; a running call is aborted. True when it is cancelled now, false when it had already finished.
request_id: what the submit returned.
reason: kept in error_message.
Errors: LQ002 unknown or not yours.
Example: select llmq.cancel_llm_request('01890a5d-ac96-774b-bcce-b302099a8057', 'the customer hung up');$$;
