-- pending or processing -> completed or failed, for answers of external workers; each message is archived
-- with its outcome in one transaction. A message nobody can use is set aside.
create function llmq.settle_external_results(outcomes jsonb) returns table (message_id bigint, outcome text)
language plpgsql volatile security definer
set search_path = ''
as $$
#variable_conflict use_variable
declare
  v_outcome jsonb;
  v_error   text;
begin
  for v_outcome in select o.item from jsonb_array_elements(outcomes) as o (item) loop
    message_id := (v_outcome ->> 'message_id')::bigint;
    outcome := 'handled';
    v_error := v_outcome ->> 'set_aside';
    -- Another orchestrator may have been faster; whoever archives the message settles it.
    if not pgmq.archive('llm_results', message_id) then
      outcome := 'gone';
    elsif v_error is not null then
      outcome := 'set_aside';
    elsif cardinality(llmq.finish_requests(jsonb_build_array(v_outcome - 'message_id'))) = 0 then
      outcome := 'set_aside';
      v_error := 'no unfinished request has this request_id';
    end if;
    if outcome = 'set_aside' then
      insert into llmq.set_aside (queue_name, message_id, message, error)
      values ('llm_results', settle_external_results.message_id, v_outcome -> 'message', v_error);
    end if;
    return next;
  end loop;
end
$$;
comment on function llmq.settle_external_results(jsonb) is
$$Finishes requests that external workers answered: [{"message_id", "message", "request_id", "status": "completed" | "failed", "response", "parsed_response", "validation_errors", "error_type", "error_message", "calls"}],
or {"message_id", "message", "set_aside": "why"}. outcome: handled, set_aside, or gone (another orchestrator settled it).$$;
