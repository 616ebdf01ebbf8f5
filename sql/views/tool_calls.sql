-- params are part of an answer: llmq_reader may read every column but those (grants.sql).
create view llmq.tool_calls as
select
  f.id as request_id, f.agent_id, f.task_type, f.model, c.number::int as number,
  c.call ->> 'id' as tool_call_id, c.call ->> 'tool_name' as tool_name, c.call -> 'params' as params, f.finished_at
from llmq.results as f
cross join lateral jsonb_array_elements(
  case
    when f.agent_id <> all ((select llmq.hidden_agents())::text[]) and jsonb_typeof(f.parsed_response -> 'tool_calls') = 'array'
      then f.parsed_response -> 'tool_calls'
  end
) with ordinality as c (call, number)
where f.parsed_response ? 'tool_calls'
  and f.status = 'completed'
  and f.finished_at > now() - interval '24 hours'
  and c.call ->> 'tool_name' is not null;
comment on view llmq.tool_calls is 'Which tools did models call in the last 24 hours? One row per call in an answer. Add order by finished_at desc.';
comment on column llmq.tool_calls.number is 'Its place in the answer, from 1.';
comment on column llmq.tool_calls.params is 'What the model passed to the tool; not for llmq_reader.';
