-- Whom we may call. Keys are never stored: a row names the environment variable that holds its key.
create table llmq.providers (
  name        text primary key,
  kind        text not null,
  base_url    text,
  api_key_env text,
  options     jsonb not null default '{}',
  paused      boolean not null default false,
  meter       integer generated always as identity (start with -1 increment by -1 minvalue -2147483648 maxvalue -1),
  requests_per_minute      integer,
  input_tokens_per_minute  integer,
  output_tokens_per_minute integer,
  tokens_per_minute        integer,
  max_concurrency          integer,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  constraint providers_kind check (kind in ('openai', 'anthropic', 'google', 'openai-compatible', 'external', 'sim')),
  constraint providers_base_url check (base_url ~ '^https?://'),
  constraint providers_compatible_needs_url check (kind <> 'openai-compatible' or base_url is not null),
  constraint providers_api_key_env check (api_key_env ~ '^[A-Za-z_][A-Za-z0-9_]*$'),
  constraint providers_limits_positive check (
    requests_per_minute > 0 and input_tokens_per_minute > 0 and output_tokens_per_minute > 0
    and tokens_per_minute > 0 and max_concurrency > 0
  ),
  constraint providers_options check (jsonb_typeof(options) = 'object')
);
comment on table llmq.providers is 'Whom orchestrators may call. Written by llmq.configure_provider().';
comment on column llmq.providers.kind is 'Which wire format: openai, anthropic, google, openai-compatible (vLLM, Ollama, Groq, ...), external (somebody else''s worker answers), sim (in-process, for tests).';
comment on column llmq.providers.base_url is 'Where the API is; null means the vendor''s own address.';
comment on column llmq.providers.api_key_env is 'Name of the environment variable of the orchestrator that holds the key. The key itself is never in the database.';
comment on column llmq.providers.options is 'Sent along or obeyed by the provider kind: {"headers": {...}, "api": "responses"}.';
comment on column llmq.providers.name is 'What llmq.models.provider refers to.';
comment on column llmq.providers.paused is 'No request is claimed for any of its models while true.';
comment on column llmq.providers.requests_per_minute is 'Limits of the key, over all its models and all orchestrators; they mean what those of llmq.models mean, and both hold.';
comment on column llmq.providers.meter is 'Its number in llmq.usage; below 0, where those of models are above.';
