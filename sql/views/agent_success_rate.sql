create view llmq.agent_success_rate as
select
  f.agent_id,
  count(*) as finished,
  count(*) filter (where f.status = 'completed') as completed,
  count(*) filter (where f.status = 'failed') as failed,
  count(*) filter (where f.status = 'cancelled') as cancelled,
  round(100.0 * count(*) filter (where f.status = 'completed') / nullif(count(*) filter (where f.status <> 'cancelled'), 0), 2) as success_percent
from llmq.results as f
where f.finished_at > now() - interval '24 hours'
group by f.agent_id;
comment on view llmq.agent_success_rate is 'How often did each agent''s requests succeed in the last 24 hours? Cancelled ones do not count against it.';
