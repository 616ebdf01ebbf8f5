-- pending or processing -> completed or failed, for answers of external workers; each message is archived
-- with its outcome, in a subtransaction of its own. A message nobody can use is set aside; one whose outcome
-- the database refuses is read again later, and set aside when that keeps happening.
-- Lock order: messages as given, each before its request.
create function llmq.settle_external_results(outcomes jsonb) returns table (message_id bigint, outcome text, error text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_outcome   jsonb;
  v_max_reads int := coalesce((select s.max_reads from llmq.shared_queues as s where s.queue_name = 'llm_results'), 5);
begin
  for v_outcome in select o.item from jsonb_array_elements(outcomes) as o (item) loop
    message_id := (v_outcome ->> 'message_id')::bigint;
    outcome := 'handled';
    error := v_outcome ->> 'set_aside';
    begin
      -- Another orchestrator may have been faster; whoever archives the message settles it.
      if not pgmq.archive('llm_results', message_id) then
        outcome := 'gone';
      elsif error is not null then
        outcome := 'set_aside';
      elsif cardinality(llmq.finish_requests(jsonb_build_array(v_outcome - array['message_id', 'message', 'read_count']))) = 0 then
        outcome := 'set_aside';
        error := 'no unfinished request has this request_id';
      end if;
    exception when others then
      error := sqlerrm;
      outcome := 'retried';
      if (v_outcome ->> 'read_count')::int >= v_max_reads and pgmq.archive('llm_results', message_id) then
        outcome := 'set_aside';
      end if;
    end;
    if outcome = 'set_aside' then
      insert into llmq.set_aside (queue_name, message_id, message, error)
      values ('llm_results', settle_external_results.message_id, v_outcome -> 'message', error);
    end if;
    return next;
  end loop;
end
$$;
comment on function llmq.settle_external_results(jsonb) is
$$Finishes requests that external workers answered and archives their messages. outcome: handled, set_aside, gone (another orchestrator settled it), or retried (error says why the database refused it).
outcomes: [{"message_id", "read_count", "message", "request_id", "claim_id", "status": "completed" | "failed", "response", "parsed_response", "validation_errors", "repairs", "error_type", "error_message", "calls"}], or {"message_id", "message", "set_aside": "why"} for a message nobody can use.$$;
