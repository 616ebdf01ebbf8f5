-- The guarantee behind llmq.release_held(): whatever is held and need not be any more is found here within a
-- while: a new day's budget, a finish that did not see what a claim was just holding, a table that was edited.
-- Agents take turns, a hundred a second, so that ten thousand of them over their limits cost next to nothing.
create function llmq.release_llm_holds(max_agents int = 100, max_rows int = 1000) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_after  text := (select s.released_after from llmq.sweep_state as s);
  v_agents text[];
  v_rows   int;
  v_total  int := 0;
begin
  if not exists (select from llmq.queue as q where q.hold is not null) then
    return 0;
  end if;
  with recursive held as (
    select r.reason, (
      select q.agent_id from llmq.queue as q where q.hold = r.reason and q.agent_id > v_after order by q.agent_id limit 1
    ) as agent_id, 1 as place
    from unnest('{agent_paused,agent_concurrency,agent_budget}'::llmq.hold_reason[]) as r (reason)
    union all
    select h.reason, (
      select q.agent_id from llmq.queue as q where q.hold = h.reason and q.agent_id > h.agent_id order by q.agent_id limit 1
    ), h.place + 1
    from held as h
    where h.agent_id is not null and h.place < max_agents
  ),
  turn as (select distinct h.agent_id from held as h where h.agent_id is not null)
  select array_agg(t.agent_id) into v_agents
  from (select t.agent_id from turn as t order by t.agent_id limit max_agents) as t;
  update llmq.sweep_state as s
  set released_after = case when cardinality(v_agents) >= max_agents then v_agents[max_agents] else '' end;
  v_total := coalesce(llmq.release_held(v_agents, max_rows), 0);

  update llmq.queue as q
  set hold = null, run_at = clock_timestamp(), updated_at = clock_timestamp()
  where q.id = any (array(
    select h.id
    from (
      select b.id, b.hold, b.complexity, b.task_type
      from llmq.queue as b
      where b.hold in ('route_paused', 'shared')
      order by b.hold, b.agent_id, b.priority desc, b.id
      limit max_rows
      for update skip locked
    ) as h
    where case h.hold
      when 'shared' then not exists (
        select from llmq.twins as t
        where t.request_id = h.id
          and (exists (select from llmq.queue as l where l.id = t.leader_id) or exists (select from llmq.in_flight as l where l.id = t.leader_id))
      )
      else (select r.paused from llmq.route_of(h.complexity, h.task_type) as r) is not true
    end
  ));
  get diagnostics v_rows = row_count;
  return v_total + v_rows;
end
$$;
comment on function llmq.release_llm_holds(int, int) is
$$Lets held requests wait for a claim again where nothing holds them any more. Returns how many. llmq.maintain() calls it every second.
max_agents: how many agents to look at; the next call goes on behind them.
max_rows: the most for each agent and reason.$$;
