-- What an agent may still start. Takes the agent's lock, so that claims in other lanes wait with this agent
-- until this one commits; locked is false when another claim has it.
create function llmq.agent_room(
  agent_id text,
  out locked boolean,
  out calls  bigint,
  out usd    numeric,
  out fails  boolean
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
begin
  locked := pg_try_advisory_xact_lock(hashtextextended(agent_id, -1));
  if not locked then
    return;
  end if;
  select
    a.max_concurrency - case when a.max_concurrency is not null then (
      select count(*) from llmq.queue as q where q.agent_id = agent_room.agent_id and q.status = 'processing'
    ) end,
    least(
      a.daily_budget_usd - case when a.daily_budget_usd is not null then llmq.agent_spent(agent_room.agent_id, 'day') end,
      a.monthly_budget_usd - case when a.monthly_budget_usd is not null then llmq.agent_spent(agent_room.agent_id, 'month') end
    ),
    a.over_budget = 'fail'
  into calls, usd, fails
  from llmq.agents as a
  where a.agent_id = agent_room.agent_id;
end
$$;
comment on function llmq.agent_room(text) is 'Internal: calls and US dollars an agent has left under its limits (null: no limit), under its lock.';
