-- Requests that wait for a model longer than their route allows, or longer than their deadline allows while the
-- model cools down, go on to the next model of the route. Looks at the head of each lane only, which is where
-- the oldest are; a backlog moves in steps.
create function llmq.fall_back_llm_requests(max_requests int = 500) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_least interval := (select min(r.fallback_after) from llmq.routes as r);
  v_mark  record;
  v_row   record;
  v_model record;
  v_late  llmq.queue;
  v_moved int := 0;
begin
  if v_least is not null then
    for v_mark in select m.lane, m.priority, m.scan from llmq.lane_marks as m order by m.lane, m.priority loop
      for v_row in
        select h.held, h.waited
        from (
          select q as held, q.complexity, q.task_type, clock_timestamp() - q.run_at as waited
          from llmq.queue as q
          where q.lane = v_mark.lane and q.priority = v_mark.priority and q.tag is not null
            and q.tag >= v_mark.scan
          order by q.tag
          limit max_requests
          for update skip locked
        ) as h
        where h.waited > v_least and not (h.held).pinned
          and h.waited > (select r.fallback_after from llmq.route_of(h.complexity, h.task_type) as r)
      loop
        v_moved := v_moved + llmq.pass_over(v_row.held, format('waited for %s, longer than the route''s fallback_after', date_trunc('second', v_row.waited)))::int;
      end loop;
    end loop;
  end if;
  for v_model in select s.lane, s.cooling_until from llmq.model_state as s where s.cooling_until > clock_timestamp() order by s.lane loop
    for v_late in
      select q.*
      from llmq.queue as q
      where q.deadline <= v_model.cooling_until and q.lane = v_model.lane and not q.pinned
      order by q.deadline
      limit max_requests
      for update skip locked
    loop
      v_moved := v_moved + llmq.pass_over(v_late, format('cools down until %s, past the deadline', v_model.cooling_until))::int;
    end loop;
  end loop;
  return v_moved;
end
$$;
comment on function llmq.fall_back_llm_requests(int) is
$$Sends requests that wait too long for their model (llmq.routes.fallback_after, or a cool-down beyond their deadline) on to the next model of their route; the ledger says passed_over, and why. Returns how many. llmq.maintain() calls it every second.
max_requests: the most to look at for each lane and priority.$$;
