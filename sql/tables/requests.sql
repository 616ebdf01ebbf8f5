-- The prompt and its options, written once and never updated: the fat part of a request does not move
-- while the request does. Its small columns are in llmq.queue until it is finished, and in llmq.results from then
-- on. Partitioned by id, which is time: retention drops whole weeks.
create table llmq.requests (
  id              uuid not null,
  parent_id       uuid,
  model           text,
  idempotency_key text,
  reply_to        text,
  messages        llmq.jsonb_array not null,
  context         llmq.jsonb_object not null,
  response_schema llmq.json_schema,
  tools           llmq.jsonb_array,
  settings        llmq.jsonb_object not null,
  constraint requests_pkey primary key (id)
) partition by range (id);
create table llmq.requests_default partition of llmq.requests default;

comment on table llmq.requests is 'What every request asks for, as it was submitted; never updated. Read it through the view llmq.llm_requests.';
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
