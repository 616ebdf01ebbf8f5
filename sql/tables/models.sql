-- A model is a lane: requests wait in the lane of the model they will ask.
create table llmq.models (
  lane                     integer generated always as identity primary key,
  name                     text not null unique,
  provider                 text not null references llmq.providers (name) on update cascade,
  model_id                 text not null,
  context_window           integer,
  max_output_tokens        integer,
  requests_per_minute      integer,
  input_tokens_per_minute  integer,
  output_tokens_per_minute integer,
  tokens_per_minute        integer,
  max_concurrency          integer,
  options                  jsonb not null default '{}',
  paused                   boolean not null default false,
  created_at               timestamptz not null default now(),
  updated_at               timestamptz not null default now(),
  constraint models_limits_positive check (
    context_window > 0 and max_output_tokens > 0
    and requests_per_minute > 0 and input_tokens_per_minute > 0 and output_tokens_per_minute > 0
    and tokens_per_minute > 0 and max_concurrency > 0
  ),
  constraint models_options check (jsonb_typeof(options) = 'object')
);
comment on table llmq.models is 'Models that requests can be routed to. Written by llmq.configure_model().';
comment on column llmq.models.lane is 'The lane its requests wait in: a small number, kept in every queue row.';
comment on column llmq.models.model_id is 'What the provider calls the model, for example gpt-4.1-mini.';
comment on column llmq.models.context_window is 'Tokens of prompt and answer together; used to find a larger model for a prompt that is too long.';
comment on column llmq.models.max_concurrency is 'Calls in flight at once over all orchestrators; null means no limit.';
comment on column llmq.models.options is 'Laid over the provider''s options: {"structured_output": ["json_schema", "prompt"]} pins the ways of asking for JSON.';
comment on column llmq.models.name is 'What routes and the model parameter of a submit refer to.';
comment on column llmq.models.max_output_tokens is 'Sent to Anthropic where a request has no max_tokens; the ceiling when a cut-off answer is asked for again.';
comment on column llmq.models.requests_per_minute is 'Calls begun in any 60 seconds, over all orchestrators; null means no limit, here and for the token limits.';
comment on column llmq.models.input_tokens_per_minute is 'Tokens of prompts in any 60 seconds.';
comment on column llmq.models.output_tokens_per_minute is 'Tokens of answers in any 60 seconds; until an answer is there its max_tokens counts, or the 90th percentile of the model''s answers.';
comment on column llmq.models.tokens_per_minute is 'Tokens of prompts and answers together, for providers that count them so.';
comment on column llmq.models.paused is 'No request is claimed for it while true; routes fall back past it.';
