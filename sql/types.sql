-- Domains instead of CHECKs on the columns that every submit writes: the server reads a table's CHECKs from
-- the catalog and parses them again for every statement, 2.5 microseconds each and 40 for a submit; a
-- domain's stay in the session's type cache.
create domain llmq.complexity as text constraint complexity check (value in ('simple', 'medium', 'complex'));
comment on domain llmq.complexity is 'How hard a request is: simple, medium or complex. Routes go by it.';
create domain llmq.priority as smallint constraint priority check (value between -100 and 100);
comment on domain llmq.priority is '-100 to 100; higher runs first.';
create domain llmq.attempt_limit as smallint constraint attempt_limit check (value between 1 and 1000);
comment on domain llmq.attempt_limit is 'Failures after which a request fails: 1 to 1000.';
create domain llmq.jsonb_object as jsonb constraint jsonb_object check (value @> '{}');
comment on domain llmq.jsonb_object is 'A JSON object.';
create domain llmq.jsonb_array as jsonb constraint jsonb_array check (value @> '[]');
comment on domain llmq.jsonb_array is 'A JSON array.';
create domain llmq.json_schema as jsonb constraint json_schema check (jsonb_typeof(value) in ('object', 'boolean'));
comment on domain llmq.json_schema is 'A JSON Schema: an object or a boolean.';
create domain llmq.hold_reason as text constraint hold_reason check (
  value in ('agent_paused', 'agent_concurrency', 'agent_budget', 'route_paused', 'shared')
);
comment on domain llmq.hold_reason is
  'Why a pending request is held: its agent is paused, has all its calls in flight or has spent its budget, its route is paused, or an identical request is in flight whose answer it will get.';

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
  pgmq_payload    text
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
  max_output_tokens  integer,
  concurrency_limited boolean
);
comment on type llmq.claimed_request is
  'One claimed request: the conversation, the model to ask and how to reach it. claim_id is the fence: hand it back with the outcome. concurrency_limited: so many calls of its model, provider or agent may be in flight; its end makes room for another.';

-- What a limited lane has left at this moment, and what its claim has to note down.
create type llmq.lane_room as (
  at            timestamptz,
  requests      bigint,
  input_tokens  bigint,
  output_tokens bigint,
  tokens        bigint,
  idle          boolean,
  meters        integer[],
  oldest        timestamptz[]
);
comment on type llmq.lane_room is
  'Internal: room of a lane under the limits of its model and provider; null is no limit. idle: nothing was used in the window, so that a request larger than the limit may pass. oldest: per meter, the start of the oldest call in flight.';
