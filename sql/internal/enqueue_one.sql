-- (nothing) -> pending, for a single request: what llmq.enqueue() does for many, without arrays. Most
-- submits come one by one, and this path costs a third of the other.
create function llmq.enqueue_one(new llmq.new_request) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now    timestamptz := clock_timestamp();
  v_tag    double precision;
  v_msg_id bigint;
begin
  insert into llmq.requests (
    id, agent_id, task_type, complexity, messages, context, response_schema, tools, settings, model,
    priority, run_at, deadline, max_attempts, idempotency_key, reply_to, parent_id
  ) values (
    new.id, new.agent_id, new.task_type, new.complexity, new.messages, new.context, new.response_schema, new.tools,
    new.settings, new.model, new.priority, new.run_at, new.deadline, new.max_attempts, new.idempotency_key,
    new.reply_to, new.parent_id
  );
  if llmq.pgmq_ready() then
    insert into pgmq.q_llm_requests (vt, message)
    values (v_now, llmq.pgmq_message(new, llmq.setting('pgmq_payload')))
    returning msg_id into v_msg_id;
  end if;
  if new.run_at is null or new.run_at <= v_now then
    v_tag := llmq.next_tag(new.lane, new.priority, new.agent_id) + 1 / new.weight;
  end if;
  insert into llmq.queue (
    id, lane, priority, tag, run_at, deadline, created_at, pgmq_msg_id, max_attempts, pinned, has_reply_to,
    agent_id, task_type, complexity
  ) values (
    new.id, new.lane, new.priority, v_tag, greatest(new.run_at, v_now), new.deadline, now(), v_msg_id,
    new.max_attempts, new.model is not null, new.reply_to is not null, new.agent_id, new.task_type, new.complexity
  );
end
$$;
comment on function llmq.enqueue_one(llmq.new_request) is 'Internal: stores one checked request as pending.';
