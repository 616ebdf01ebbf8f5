-- What a claim took from limited agents: a row for each, which also says where counting its calls begins next time.
create function llmq.note_agents(request_ids uuid[], limited uuid[], agents jsonb) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  insert into llmq.agent_usage (agent_id, at, usd, oldest_start)
  select
    q.agent_id, q.started_at, coalesce(sum(q.reserved_usd), 0),
    case when bool_or(q.id = any (limited)) then least((agents -> q.agent_id ->> 'oldest')::timestamptz, q.started_at) end
  from unnest(request_ids) as i (id)
  -- Row by row: grouped by agent, a plan made on an empty queue would read all of it in the order of agents.
  cross join lateral (select w.* from llmq.in_flight as w where w.id = i.id offset 0) as q
  where q.reserved_usd is not null or q.id = any (limited)
  group by q.agent_id, q.started_at
$$;
comment on function llmq.note_agents(uuid[], uuid[], jsonb) is 'Internal: writes llmq.agent_usage for calls that a claim begins; limited: those whose agent may have only so many in flight.';
