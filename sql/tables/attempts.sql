-- The ledger: one row per call made to a provider, and per call that was lost with its worker.
create table llmq.attempts (
  -- In this order the server puts no padding between them: fewer bytes in every row, and in the WAL.
  request_id          uuid not null,
  worker_id           uuid,
  started_at          timestamptz,
  finished_at         timestamptz not null default clock_timestamp(),
  number              integer not null,
  latency_ms          integer,
  first_byte_ms       integer,
  input_tokens        integer,
  output_tokens       integer,
  cached_input_tokens integer,
  reasoning_tokens    integer,
  status_code         smallint,
  model               text,
  provider            text,
  outcome             text not null,
  error_message       text,
  provider_request_id text,
  finish_reason       text,
  output_mode         text,
  cost_usd            numeric,
  constraint attempts_pkey primary key (request_id, number),
  constraint attempts_outcome check (outcome in (
    'answered', 'invalid', 'transient', 'capacity', 'out_of_quota', 'configuration', 'too_long', 'mode',
    'refused', 'truncated', 'bad_request', 'exception', 'aborted', 'cancelled', 'deadline', 'released', 'lost',
    'shared', 'cached', 'passed_over'
  )),
  constraint attempts_tokens check (
    input_tokens >= 0 and output_tokens >= 0 and cached_input_tokens >= 0 and reasoning_tokens >= 0
  )
) partition by range (request_id);
create table llmq.attempts_default partition of llmq.attempts default;

-- Providers in trouble lately (the view llmq.provider_outages): few rows of many.
create index attempts_in_trouble on llmq.attempts (finished_at)
  where outcome in ('transient', 'capacity', 'out_of_quota', 'configuration');

comment on table llmq.attempts is 'Every call made for a request, with what it cost and how it ended; lost calls may have been billed.';
comment on column llmq.attempts.outcome is 'answered, or why not: the error classes of the orchestrator, and invalid (the answer broke its schema), lost (the worker died), cancelled, deadline, released. No call was made for shared (an identical request in flight got the answer), cached (an earlier one had) and passed_over (the request went on to the next model of its route).';
comment on column llmq.attempts.output_mode is 'How JSON was asked for: json_schema, tool, json, prompt; null for plain text.';
comment on column llmq.attempts.number is '1, 2, ... within the request.';
comment on column llmq.attempts.latency_ms is 'Milliseconds of the whole call.';
comment on column llmq.attempts.first_byte_ms is 'Milliseconds until the response began; null when none came.';
comment on column llmq.attempts.status_code is 'HTTP status; null when nothing came back.';
comment on column llmq.attempts.provider_request_id is 'The provider''s name for the call: quote it to their support.';
comment on column llmq.attempts.cached_input_tokens is 'Part of input_tokens that the provider had cached.';
comment on column llmq.attempts.reasoning_tokens is 'Part of output_tokens spent on reasoning.';
comment on column llmq.attempts.cost_usd is 'US dollars, as reported by the worker, or else computed with the row of llmq.prices that held when the call began; null where there is none or the tokens are not known.';
