-- What a claim took from limited agents: a row for each, which also says where counting its calls begins next time.
create function llmq.note_agents(request_ids uuid[], limited uuid[], agents jsonb) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  insert into llmq.agent_usage (agent_id, at, usd, oldest_start)
  select
    f.agent_id, f.started_at, coalesce(sum(f.reserved_usd), 0),
    case when bool_or(f.id = any (limited)) then least((agents -> f.agent_id ->> 'oldest')::timestamptz, f.started_at) end
  from unnest(request_ids) as i (id)
  -- Row by row: grouped by agent, a plan made on an empty queue would read all of it in the order of agents.
  cross join lateral (select w.* from llmq.in_flight as w where w.id = i.id offset 0) as f
  where f.reserved_usd is not null or f.id = any (limited)
  group by f.agent_id, f.started_at
$$;
comment on function llmq.note_agents(uuid[], uuid[], jsonb) is 'Internal: writes llmq.agent_usage for calls that a claim begins; limited: those whose agent may have only so many in flight.';
