-- processing -> pending: rows as they shall wait. Whoever calls has locked them in llmq.in_flight.
create function llmq.put_back(held llmq.in_flight[], more_calls int = 0, due_at timestamptz = null) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
begin
  delete from llmq.in_flight as h where h.id = any (array(select b.id from unnest(held) as b));
  insert into llmq.queue (
    id, lane, priority, run_at, deadline, created_at, updated_at, started_at, pgmq_msg_id, max_attempts, calls, attempts,
    capacity_waits, reasks, crashes, route_step, pinned, has_reply_to, agent_id, task_type, complexity, error_type,
    error_message
  )
  select
    b.id, b.lane, b.priority, coalesce(due_at, b.run_at), b.deadline, b.created_at, clock_timestamp(), b.started_at, b.pgmq_msg_id,
    b.max_attempts, b.calls + more_calls, b.attempts, b.capacity_waits, b.reasks, b.crashes, b.route_step, b.pinned, b.has_reply_to,
    b.agent_id, b.task_type, b.complexity, b.error_type, b.error_message
  from unnest(held) as b;
end
$$;
comment on function llmq.put_back(llmq.in_flight[], int, timestamptz) is 'Internal: makes locked requests in flight pending again, as given, with so many more calls, due then (null: as given). What they reserved is settled by the caller.';
