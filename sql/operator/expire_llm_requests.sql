-- pending or processing -> failed (deadline_exceeded). A running call gets two more seconds, in which its
-- orchestrator, which keeps the same deadline, reports what happened itself.
create function llmq.expire_llm_requests(max_requests int = 500) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_held llmq.queue[];
begin
  select array_agg(h.held) into v_held
  from (
    select q as held
    from llmq.queue as q
    where q.deadline <= clock_timestamp()
      and (q.status = 'pending' or q.deadline <= clock_timestamp() - interval '2 seconds')
    order by q.deadline
    limit max_requests
    for update skip locked
  ) as h;
  if v_held is null then
    return 0;
  end if;
  perform llmq.end_unfinished(v_held, 'failed', 'deadline_exceeded', 'The deadline passed before the request was finished', 'deadline');
  return cardinality(v_held);
end
$$;
comment on function llmq.expire_llm_requests(int) is
$$Fails requests whose deadline has passed (deadline_exceeded): waiting ones at once, running ones two seconds later. Returns how many. llmq.maintain() calls it every second.
max_requests: the most to fail in one call.$$;
