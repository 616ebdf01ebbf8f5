create function llmq.status_of(request_id uuid) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_status text;
  v_agent  text;
begin
  select v.status, v.agent_id into v_status, v_agent from llmq.all_llm_requests as v where v.id = request_id;
  if not found or not llmq.may_use_agent(v_agent) then
    perform llmq.raise_not_found(request_id);
  end if;
  return v_status;
end
$$;
comment on function llmq.status_of(uuid) is
$$Status of one request: pending, processing, completed, failed or cancelled.
request_id: what the submit returned.
Errors: LQ002 unknown or not yours.$$;
