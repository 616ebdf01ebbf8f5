create view llmq.recent_failures as
select f.id, f.finished_at, f.agent_id, f.task_type, f.model, f.error_type, f.error_message, f.attempts, f.calls
from llmq.results as f
where f.status = 'failed' and f.finished_at > now() - interval '24 hours';
comment on view llmq.recent_failures is 'Which requests failed in the last 24 hours, and why? Add order by finished_at desc.';
