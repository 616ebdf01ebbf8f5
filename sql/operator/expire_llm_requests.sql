-- pending or processing -> failed (deadline_exceeded). A running call gets two more seconds, in which its
-- orchestrator, which keeps the same deadline, reports what happened itself.
create function llmq.expire_llm_requests(max_requests int = 500) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_held llmq.in_flight[];
begin
  select array_agg(h.held) into v_held
  from (
    select u.held
    from (
      select w.held
      from (
        select llmq.unclaimed(q) as held
        from llmq.queue as q
        where q.deadline <= clock_timestamp()
        order by q.deadline
        limit max_requests
        for update skip locked
      ) as w
      union all
      select r.held
      from (
        select f as held
        from llmq.in_flight as f
        where f.deadline <= clock_timestamp() - interval '2 seconds'
        order by f.deadline
        limit max_requests
        for update skip locked
      ) as r
    ) as u
    limit max_requests
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
