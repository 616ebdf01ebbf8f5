create function llmq.note_spending(request_ids uuid[]) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  insert into llmq.agent_spend (agent_id, at, usd)
  select q.agent_id, q.started_at, sum(q.reserved_usd)
  from llmq.queue as q
  where q.id = any (request_ids) and q.reserved_usd is not null
  group by q.agent_id, q.started_at
$$;
comment on function llmq.note_spending(uuid[]) is 'Internal: what a claim reserves from the budgets of agents.';
