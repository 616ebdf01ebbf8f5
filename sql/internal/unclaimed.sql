-- A pending request in the shape of one in flight, for those functions that take either: nobody holds it, and nothing
-- is reserved.
create function llmq.unclaimed(waiting llmq.queue) returns llmq.in_flight
language sql immutable
as $$
  select row(
    waiting.id, null, null, waiting.started_at, waiting.run_at, waiting.deadline, waiting.created_at, waiting.pgmq_msg_id,
    null, null, null, waiting.lane, waiting.calls, waiting.capacity_waits, waiting.priority, waiting.max_attempts,
    waiting.attempts, waiting.reasks, waiting.crashes, waiting.route_step, waiting.pinned, waiting.has_reply_to,
    waiting.agent_id, waiting.task_type, waiting.complexity, waiting.error_type, waiting.error_message
  )::llmq.in_flight
$$;
comment on function llmq.unclaimed(llmq.queue) is 'Internal: a pending request in the shape of one in flight; claim_id and worker_id are null.';
