-- failed or cancelled -> pending: runs again under its id, with fresh counters and today's routes. The
-- ledger keeps the earlier calls.
create function llmq.retry_llm_request(request_id uuid) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_result  llmq.results;
  v_request llmq.requests;
  v_new     llmq.new_request;
begin
  select f.* into v_result from llmq.results as f where f.id = request_id for update;
  if not found or not llmq.may_use_agent(v_result.agent_id) then
    if not exists (select from llmq.all_llm_requests as v where v.id = request_id and llmq.may_use_agent(v.agent_id)) then
      perform llmq.raise_not_found(request_id);
    end if;
    return false;
  end if;
  if v_result.status = 'completed' then
    return false;
  end if;
  select r.* into v_request from llmq.requests as r where r.id = request_id;
  v_new := llmq.new_request(
    v_result.agent_id, v_result.task_type, v_request.messages, v_result.complexity, v_request.context,
    v_request.response_schema, v_request.tools, v_request.settings, v_request.model, v_result.priority,
    null, case when v_result.deadline > clock_timestamp() then v_result.deadline end, v_result.max_attempts,
    null, v_request.reply_to, v_request.parent_id
  );
  v_new.id := request_id;
  delete from llmq.results as f where f.id = request_id;
  insert into llmq.queue (
    id, lane, priority, run_at, deadline, created_at, pgmq_msg_id, max_attempts, calls, pinned, has_reply_to,
    agent_id, task_type, complexity
  ) values (
    request_id, v_new.lane, v_new.priority, clock_timestamp(), v_new.deadline, v_result.created_at,
    (llmq.copy_to_pgmq(array[v_new]))[1], v_new.max_attempts,
    (select coalesce(max(a.number), 0) from llmq.attempts as a where a.request_id = retry_llm_request.request_id),
    v_new.model is not null or coalesce(v_new.context ->> 'executor' = 'external', false), v_new.reply_to is not null, v_new.agent_id, v_new.task_type, v_new.complexity
  );
  perform llmq.note_twins(array[v_new]);
  perform llmq.wake_orchestrators();
  return true;
end
$$;
comment on function llmq.retry_llm_request(uuid) is
$$Runs a failed or cancelled request again under its id, with fresh counters and today's routes. Its earlier result is dropped, the ledger llmq.attempts keeps its calls, and a deadline that has passed is dropped. True when it is pending again, false when it is pending, processing or completed.
request_id: what the submit returned.
Errors: LQ002 unknown or not yours; LQ003, LQ006 as at submit, when the route, model or reply queue is gone.
Example: select llmq.retry_llm_request(id) from llmq.recent_failures where error_type = 'provider_unavailable';$$;
