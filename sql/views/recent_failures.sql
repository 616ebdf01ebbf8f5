create view llmq.recent_failures as
select
  f.id, f.finished_at, f.agent_id, f.task_type, f.model, f.error_type,
  case when f.agent_id <> all ((select llmq.hidden_agents())::text[]) then f.error_message end as error_message,
  f.attempts, f.calls
from llmq.results as f
where f.status = 'failed'
  and f.finished_at > now() - interval '24 hours'
  and f.agent_id <> all ((select llmq.hidden_agents())::text[]);
comment on view llmq.recent_failures is 'Which requests failed in the last 24 hours, and why? Add order by finished_at desc.';
comment on column llmq.recent_failures.attempts is 'Failures that counted.';
comment on column llmq.recent_failures.calls is 'Calls made: rows of llmq.attempts.';
