create view llmq.validation_failures as
select
  f.id, f.finished_at, f.agent_id, f.task_type, f.model,
  e.error ->> 'type' as type, e.error ->> 'field' as field, coalesce(e.error ->> 'message', e.error ->> 'error') as message,
  (e.error ->> 'position')::int as position
from llmq.results as f
cross join lateral jsonb_array_elements(f.validation_errors) as e (error)
where f.validation_errors is not null and f.finished_at > now() - interval '24 hours';
comment on view llmq.validation_failures is 'What was wrong with answers that did not parse or did not fit their schema, in the last 24 hours? One row per error.';
