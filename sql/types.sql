-- A request that passed every check and knows its first model: what llmq.enqueue() stores.
create type llmq.new_request as (
  id              uuid,
  agent_id        text,
  task_type       text,
  complexity      text,
  messages        jsonb,
  context         jsonb,
  response_schema jsonb,
  tools           jsonb,
  settings        jsonb,
  model           text,
  priority        smallint,
  run_at          timestamptz,
  deadline        timestamptz,
  max_attempts    smallint,
  idempotency_key text,
  reply_to        text,
  parent_id       uuid,
  lane            integer,
  weight          double precision,
  external        boolean
);
comment on type llmq.new_request is 'Internal: a checked and routed request on its way into llmq.requests and llmq.queue.';

-- All that a worker needs to make one call, without another look at the database.
create type llmq.claimed_request as (
  id                 uuid,
  claim_id           bigint,
  agent_id           text,
  task_type          text,
  complexity         text,
  messages           jsonb,
  context            jsonb,
  response_schema    jsonb,
  tools              jsonb,
  settings           jsonb,
  deadline           timestamptz,
  created_at         timestamptz,
  started_at         timestamptz,
  attempts           smallint,
  max_attempts       smallint,
  model              text,
  provider           text,
  provider_kind      text,
  base_url           text,
  api_key_env        text,
  model_id           text,
  options            jsonb,
  context_window     integer,
  max_output_tokens  integer
);
comment on type llmq.claimed_request is
  'One claimed request: the conversation, the model to ask and how to reach it. claim_id is the fence: hand it back with the outcome.';
