-- One row per finished request, written once: the answer, and the small columns of the request, so that
-- lists never join llmq.requests.
create table llmq.results (
  -- In this order the server puts no padding between them: fewer bytes in every row, and in the WAL.
  id                  uuid not null,
  created_at          timestamptz not null,
  started_at          timestamptz,
  finished_at         timestamptz not null default clock_timestamp(),
  published_at        timestamptz,
  run_at              timestamptz,
  deadline            timestamptz,
  input_tokens        bigint,
  output_tokens       bigint,
  cached_input_tokens bigint,
  reasoning_tokens    bigint,
  calls               integer not null default 0,
  capacity_waits      integer not null default 0,
  priority            smallint not null,
  attempts            smallint not null default 0,
  max_attempts        smallint not null,
  reasks              smallint not null default 0,
  crashes             smallint not null default 0,
  agent_id            text not null,
  task_type           text not null,
  complexity          text not null,
  status              text not null,
  model               text,
  provider            text,
  error_type          text,
  error_message       text,
  finish_reason       text,
  cost_usd            numeric,
  response            text,
  parsed_response     jsonb,
  validation_errors   jsonb,
  repairs             jsonb,
  constraint results_pkey primary key (id),
  constraint results_status check (status in ('completed', 'failed', 'cancelled')),
  constraint results_error_exactly_when_failed check ((status = 'failed') = (error_type is not null)),
  constraint results_counts check (least(attempts, capacity_waits, reasks, crashes, calls) >= 0),
  constraint results_validation_errors check (jsonb_typeof(validation_errors) = 'array')
) partition by range (id);
create table llmq.results_default partition of llmq.results default;

-- Retention, and what happened in the last hour, week or month: the columns that views sum up come along, so that
-- they read this and not the answers.
create index results_by_finished on llmq.results (finished_at)
  include (input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, agent_id, status, model, cost_usd);
-- What failed lately.
create index results_failed on llmq.results (finished_at)
  where status = 'failed';
-- Which tools were called lately.
create index results_with_tool_calls on llmq.results (finished_at)
  where parsed_response ? 'tool_calls';
-- One agent's finished requests, by status, newest last.
create index results_by_agent on llmq.results (agent_id, status, id);
-- What went wrong lately: a list of the failed ones does not wade through a million that were answered.
create index results_not_completed on llmq.results (status, id)
  where status <> 'completed';
-- One task type's.
create index results_by_task_type on llmq.results (task_type, id);

comment on table llmq.results is 'Finished requests with their answers. Read them through the view llmq.llm_requests.';
comment on column llmq.results.response is 'The model''s answer as it came, kept also when it could not be used.';
comment on column llmq.results.parsed_response is 'The answer as JSON, after repair and schema check; {"tool_calls": [{"id", "tool_name", "params"}], "final_response"} for tool calls.';
comment on column llmq.results.validation_errors is '[{"type": "json_decode_error", "error", "position", "response_preview"}] or [{"type": "schema_violation", "field", "message"}, ...].';
comment on column llmq.results.repairs is 'What was mended in the answer, in order: ["code_fence", "repaired_json", "coerced", "reasked", ...].';
comment on column llmq.results.input_tokens is 'Sum over every call of the request, failed ones included (llmq.attempts).';
comment on column llmq.results.error_type is 'provider_unavailable, malformed_response, exception, deadline_exceeded, refused, truncated, too_long, bad_request, lost, budget_exceeded.';
comment on column llmq.results.finished_at is 'When it completed, failed or was cancelled: the retention counts from here.';
comment on column llmq.results.error_message is 'Why it failed, or the reason given when it was cancelled.';
comment on column llmq.results.finish_reason is 'How the model ended: stop, length, tool_calls, content_filter, other.';
comment on column llmq.results.calls is 'Ledger rows in llmq.attempts.';
comment on column llmq.results.cost_usd is 'Sum of llmq.attempts.cost_usd; null where no call has a cost.';
