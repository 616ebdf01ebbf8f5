create view llmq.queue_by_agent as
select
  q.agent_id,
  count(*) filter (where q.status = 'pending') as pending,
  count(*) filter (where q.hold is not null) as held,
  count(*) filter (where q.status = 'processing') as processing,
  min(q.created_at) as oldest_created_at,
  clock_timestamp() - min(q.created_at) as oldest_age
from (
  select 'pending' as status, w.agent_id, w.hold::text as hold, w.created_at from llmq.queue as w
  union all
  select 'processing', f.agent_id, null, f.created_at from llmq.in_flight as f
) as q
where q.agent_id <> all ((select llmq.hidden_agents())::text[])
group by q.agent_id;
comment on view llmq.queue_by_agent is 'Whose requests are waiting and running, and how old is the oldest of each agent?';
comment on column llmq.queue_by_agent.held is 'Of the pending ones: kept back by a pause, a limit or a budget (llmq.queue_depth says which).';
