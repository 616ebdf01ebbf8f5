-- What an agent may still start. Takes the agent's lock, so that claims in other lanes wait with this agent
-- until this one commits; locked is false when another claim has it.
create function llmq.agent_room(
  agent_id text,
  out locked boolean,
  out calls  bigint,
  out usd    numeric,
  out fails  boolean,
  out oldest timestamptz
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_variable
declare
  v_agent record;
  v_from  timestamptz;
begin
  locked := pg_try_advisory_xact_lock(hashtextextended(agent_id, -1));
  if not locked then
    return;
  end if;
  select
    a.max_concurrency, a.over_budget = 'fail' as fails,
    a.daily_budget_usd - case when a.daily_budget_usd is not null then llmq.agent_spent(agent_id, 'day') end as today,
    a.monthly_budget_usd - case when a.monthly_budget_usd is not null then llmq.agent_spent(agent_id, 'month') end as this_month
  into v_agent
  from llmq.agents as a
  where a.agent_id = agent_room.agent_id;
  fails := v_agent.fails;
  usd := least(v_agent.today, v_agent.this_month);
  if v_agent.max_concurrency is not null then
    select u.oldest_start into v_from
    from llmq.agent_usage as u
    where u.agent_id = agent_room.agent_id and not u.compact and u.oldest_start is not null
    order by u.at desc
    limit 1;
    select v_agent.max_concurrency - count(*), min(f.started_at) into calls, oldest
    from (
      select h.started_at
      from llmq.in_flight as h
      where h.agent_id = agent_room.agent_id and h.started_at >= coalesce(v_from, '-infinity')
      order by h.started_at
      offset 0
    ) as f;
  end if;
end
$$;
comment on function llmq.agent_room(text) is
  'Internal: calls and US dollars an agent has left under its limits (null: no limit), under its lock, and the start of the oldest call it has in flight.';
