create view llmq.validation_failures as
select
  f.id, f.finished_at, f.agent_id, f.task_type, f.model,
  e.error ->> 'type' as type, e.error ->> 'field' as field, coalesce(e.error ->> 'message', e.error ->> 'error') as message,
  (e.error ->> 'position')::int as position
from llmq.results as f
cross join lateral jsonb_array_elements(
  case when f.agent_id <> all ((select llmq.hidden_agents())::text[]) then f.validation_errors end
) as e (error)
where f.status = 'failed' and f.finished_at > now() - interval '24 hours';
comment on view llmq.validation_failures is 'What was wrong with answers that did not parse or did not fit their schema, in the last 24 hours? One row per error.';
comment on column llmq.validation_failures.type is 'json_decode_error or schema_violation.';
comment on column llmq.validation_failures.field is 'Where in the answer: tool_calls[0].params; null when it is no JSON.';
comment on column llmq.validation_failures.position is 'Character at which it stopped being JSON.';
