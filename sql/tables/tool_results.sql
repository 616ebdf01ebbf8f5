create table llmq.tool_results (
  request_id      uuid primary key,
  results         jsonb not null,
  next_request_id uuid not null,
  created_at      timestamptz not null default now(),
  constraint tool_results_array check (jsonb_typeof(results) = 'array')
);
comment on table llmq.tool_results is 'What an agent''s tools gave back for one turn, and the request that carries the conversation on. One row per turn: a second answer is refused.';
comment on column llmq.tool_results.request_id is 'The turn whose calls were answered.';
comment on column llmq.tool_results.results is 'As given to llmq.submit_tool_results().';
comment on column llmq.tool_results.next_request_id is 'The request of the next turn.';
