-- The prompt and its options, written once and never updated: the fat part of a request does not move
-- while the request does. Partitioned by id, which is time: retention drops whole weeks.
create table llmq.requests (
  id              uuid not null,
  agent_id        text not null,
  task_type       text not null,
  complexity      text not null,
  messages        jsonb not null,
  context         jsonb not null,
  response_schema jsonb,
  tools           jsonb,
  settings        jsonb not null,
  model           text,
  priority        smallint not null,
  run_at          timestamptz,
  deadline        timestamptz,
  max_attempts    smallint not null,
  idempotency_key text,
  reply_to        text,
  parent_id       uuid,
  created_at      timestamptz not null default now(),
  constraint requests_pkey primary key (id),
  constraint requests_complexity check (complexity in ('simple', 'medium', 'complex')),
  constraint requests_messages check (jsonb_typeof(messages) = 'array'),
  constraint requests_context check (jsonb_typeof(context) = 'object'),
  constraint requests_settings check (jsonb_typeof(settings) = 'object'),
  constraint requests_response_schema check (jsonb_typeof(response_schema) in ('object', 'boolean')),
  constraint requests_tools check (jsonb_typeof(tools) = 'array'),
  constraint requests_priority check (priority between -100 and 100),
  constraint requests_max_attempts check (max_attempts between 1 and 1000)
) partition by range (id);
create table llmq.requests_default partition of llmq.requests default;

comment on table llmq.requests is 'Every request as it was submitted; never updated. Read it through the view llmq.llm_requests.';
comment on column llmq.requests.messages is 'The conversation in OpenAI''s chat format.';
comment on column llmq.requests.model is 'The model the caller asked for by name; null: routed by complexity and task type.';
comment on column llmq.requests.parent_id is 'The request whose tool calls this one answers, or whatever the submitter gave.';
comment on column llmq.requests.id is 'UUIDv7: its time of submit, the primary key and the partition key.';
comment on column llmq.requests.context is 'The caller''s own; never sent to the model.';
comment on column llmq.requests.settings is 'temperature, max_tokens, ...: see llmq.submit_llm_request.';
comment on column llmq.requests.tools is 'Tools the model may call, in OpenAI''s format.';

-- 8 KB prompts spend most of their insert in pglz; lz4 is there on servers built with it.
do $$
begin
  alter table llmq.requests alter column messages set compression lz4;
  alter table llmq.requests_default alter column messages set compression lz4;
exception when feature_not_supported then null;
end
$$;
