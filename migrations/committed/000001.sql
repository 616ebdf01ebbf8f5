--! Previous: -
--! Hash: sha1:89cd251d4238a36e51ea5f6d8bcb0dc8d71ee477

--! Included all.sql
-- The table of contents: what the database is today, in the order in which it is installed.

-- Ids, and the types that functions share
--! Included schema.sql
-- Everything llmq owns lives in this schema. Nothing in it is granted to PUBLIC (see grants.sql).
--
-- Its functions pin search_path = pg_catalog, pg_temp, and not '': an empty path still searches the caller's
-- temporary schema, and before all others, for tables and types. A domain made there and called text or uuid
-- would stand in for the real one inside a SECURITY DEFINER function and run its check as our owner.
create schema llmq;
comment on schema llmq is
  'llmq: a durable queue for LLM requests. Start with llmq.submit_llm_request() and the view llmq.llm_requests.';
--! EndIncluded schema.sql
--! Included types.sql
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
--! EndIncluded types.sql
--! Included internal/ranking_key.sql
-- One number for an agent in a lane and priority: what whoever ranks its requests locks, and what its ranked
-- requests are indexed by. Two agents with the same number would share their turns, and nothing else.
create function llmq.ranking_key(lane int, priority int, agent_id text) returns bigint
language sql immutable parallel safe
as $$ select hashtextextended(agent_id, (lane::bigint << 9) + priority + 100) $$;
comment on function llmq.ranking_key(int, int, text) is 'Internal: the advisory lock of whoever ranks the requests of an agent in a lane and priority, and their place in the index queue_ready_by_agent.';
--! EndIncluded internal/ranking_key.sql
--! Included ids/uuid_v7.sql
-- Time-ordered ids: the partition key, the primary key and the order of arrival in one value.
-- Layout: RFC 9562, version 7; the 12 bits after the version carry the fraction of the millisecond, as
-- Postgres 18's own uuidv7() does, so that ids made on one server sort by the microsecond.
do $install$
begin
  if current_setting('server_version_num')::int >= 180000 then
    create function llmq.uuid_v7() returns uuid
      language sql volatile parallel safe
      as 'select pg_catalog.uuidv7()';
  else
    create function llmq.uuid_v7() returns uuid
      language plpgsql volatile parallel safe
      set search_path = pg_catalog, pg_temp
      as $function$
      declare
        v_us bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
      begin
        return (
          lpad(to_hex(v_us / 1000), 12, '0')
          || to_hex(28672 + (v_us % 1000) * 4096 / 1000)
          || substr(gen_random_uuid()::text, 20)
        )::uuid;
      end
      $function$;
  end if;
end
$install$;
comment on function llmq.uuid_v7() is 'A new UUIDv7 (RFC 9562): sorts by the time it was made. Postgres 18 uses its own uuidv7().';
--! EndIncluded ids/uuid_v7.sql
--! Included ids/uuid_v7_floor.sql
-- The smallest UUIDv7 of a moment: bounds of partitions, and "older than" without reading a time column.
create function llmq.uuid_v7_floor(at timestamptz) returns uuid
language sql immutable strict parallel safe
as $$
  select (
    lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7000' || '8000' || '000000000000'
  )::uuid
$$;
comment on function llmq.uuid_v7_floor(timestamptz) is
  'The smallest UUIDv7 whose time is the given one (to the millisecond): id >= llmq.uuid_v7_floor(now() - interval ''1 hour'').';
--! EndIncluded ids/uuid_v7_floor.sql
--! Included ids/uuid_v7_time.sql
create function llmq.uuid_v7_time(id uuid) returns timestamptz
language sql immutable strict parallel safe
as $$
  select to_timestamp(('x' || lpad(substr(replace(id::text, '-', ''), 1, 12), 16, '0'))::bit(64)::bigint / 1000.0)
$$;
comment on function llmq.uuid_v7_time(uuid) is 'When a UUIDv7 was made, to the millisecond.';
--! EndIncluded ids/uuid_v7_time.sql

-- Tables: configuration, then a request's life, then machinery
--! Included checks/is_setting.sql
create function llmq.is_setting(name text, value jsonb) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(case
    when name in ('retry_base', 'retry_max', 'ageing') then
      jsonb_typeof(value) = 'string' and (value #>> '{}')::interval between interval '0' and interval '1 year'
    when name = 'pgmq' then jsonb_typeof(value) = 'boolean'
    when name = 'pgmq_payload' then value in ('"reference"', '"full"')
    when name = 'refuse_above' then value = 'null' or value @? 'strict $ ? (@ >= 1 && @ <= 1000000 && @ == @.floor())'
    when name in ('max_attempts', 'max_crashes') then value @? 'strict $ ? (@ >= 1 && @ <= 1000 && @ == @.floor())'
    when name = 'breaker_failures' then value @? 'strict $ ? (@ >= 1 && @ <= 1000000 && @ == @.floor())'
    when name = 'validation_retries' then value @? 'strict $ ? (@ >= 0 && @ <= 10 && @ == @.floor())'
    when name = 'retention_days' then value @? 'strict $ ? (@ >= 1 && @ <= 36500 && @ == @.floor())'
    when name in ('call_timeout', 'first_byte_timeout', 'connect_timeout') then value @? 'strict $ ? (@ > 0 && @ <= 86400)'
  end, false);
-- Text that is no interval.
exception when data_exception then
  return false;
end
$$;
comment on function llmq.is_setting(text, jsonb) is 'Internal: whether there is such a setting, and whether it may have this value.';
--! EndIncluded checks/is_setting.sql
--! Included tables/settings.sql
create table llmq.settings (
  name        text primary key,
  value       jsonb not null,
  description text not null,
  -- What one of them may be is in its description.
  constraint settings_value check (llmq.is_setting(name, value))
);
comment on table llmq.settings is
  'One row per setting; a DBA edits the values, every process sees them with its next statement. Change one with update llmq.settings set value = ... where name = ....';
comment on column llmq.settings.value is 'JSON: a number, true or false, or text in double quotes; intervals are text, "5 minutes". Its description says which, and from where to where.';
--! EndIncluded tables/settings.sql
--! Included tables/providers.sql
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
--! EndIncluded tables/providers.sql
--! Included tables/models.sql
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
--! EndIncluded tables/models.sql
--! Included tables/prices.sql
-- What a model costs, and since when. Of the rows that hold for a call the choice is made by llmq.price_at().
create table llmq.prices (
  model                    text not null references llmq.models (name) on update cascade on delete cascade,
  source                   text not null default 'manual',
  valid_from               timestamptz not null default '-infinity',
  utc_from                 time not null default '00:00',
  utc_until                time not null default '24:00',
  min_input_tokens         integer not null default 0,
  input_per_million        numeric not null,
  output_per_million       numeric not null,
  cached_input_per_million numeric,
  reasoning_per_million    numeric,
  updated_at               timestamptz not null default now(),
  constraint prices_pkey primary key (model, source, valid_from, utc_from, utc_until, min_input_tokens),
  constraint prices_source check (source in ('manual', 'genai-prices')),
  constraint prices_hours check (utc_from < utc_until),
  constraint prices_min_input_tokens check (min_input_tokens >= 0),
  -- numeric knows NaN and infinity, which compare as larger than every number.
  constraint prices_not_negative check (
    input_per_million >= 0 and input_per_million < 'infinity' and output_per_million >= 0 and output_per_million < 'infinity'
    and cached_input_per_million >= 0 and cached_input_per_million < 'infinity'
    and reasoning_per_million >= 0 and reasoning_per_million < 'infinity'
  )
);
-- The order of preference of llmq.price_at(): the first row that holds is the price.
create index prices_by_model
on llmq.prices (model, source desc, valid_from desc, utc_from desc, utc_until, min_input_tokens desc);

comment on table llmq.prices is
  'What models cost, in US dollars per million tokens. A DBA edits it, or calls llmq.configure_price(); rows of source genai-prices are replaced at every import. Costs already in llmq.attempts stay as they are. To do without a price, delete its row.';
comment on column llmq.prices.model is 'A name of llmq.models.';
comment on column llmq.prices.source is 'manual: goes before an imported one. genai-prices: imported from the package of that name by llmq migrate, llmq start and llmq prices --import.';
comment on column llmq.prices.valid_from is 'Holds for calls that start then or later, until a row of the same source with a later date takes over.';
comment on column llmq.prices.utc_from is 'For prices that differ by the time of day: holds from this time, in UTC. Of two rows with the same date the one that begins later does, or else ends earlier: rows for some hours go before one for all day.';
comment on column llmq.prices.utc_until is 'Holds until before this time, in UTC; 24:00 is the end of the day.';
comment on column llmq.prices.min_input_tokens is 'For tiers of long prompts: holds for a whole call whose input has this many tokens or more, unless a higher tier does.';
comment on column llmq.prices.input_per_million is 'Of input tokens that were not cached.';
comment on column llmq.prices.output_per_million is 'Of output tokens, reasoning included.';
comment on column llmq.prices.cached_input_per_million is 'Of input tokens that the provider had cached; null: as other input.';
comment on column llmq.prices.reasoning_per_million is 'Of reasoning tokens where they cost something else than other output; null: as output.';
--! EndIncluded tables/prices.sql
--! Included tables/model_state.sql
-- What the claim must know about a model and configuration must not: it changes with every outage.
--
-- THE BREAKER of a model:
--
--   closed     admit null. Transient failures in a row are counted; a success sets them to 0.
--   open       cooling_until lies ahead: nothing is claimed. Opened by the setting breaker_failures transient
--              failures in a row, or at once by a limit, an empty quota, a refused key or a missing model.
--   half-open  cooling_until has passed and admit is set: so many calls may be in flight. Every success admits
--              one more, so that the number doubles with each round of calls; at 256 the breaker closes. A
--              failure opens it again, for twice as long.
--
-- After a failure the probe is one call. After a limit (429) half of the calls that were in flight may come
-- back at once: the model is well, there were only too many.
create table llmq.model_state (
  lane          integer primary key,
  cooling_until timestamptz,
  reason        text,
  error_class   text,
  cooldowns     integer not null default 0,
  failures      integer not null default 0,
  admit         integer,
  updated_at    timestamptz not null default clock_timestamp(),
  constraint model_state_admit check (admit > 0)
);
comment on table llmq.model_state is 'Models in trouble: a model whose cooling_until lies ahead is not claimed from; its requests wait and cost nothing.';
comment on column llmq.model_state.cooldowns is 'Cool-downs in a row without a success in between: the next one, where the provider names no time, is twice as long.';
comment on column llmq.model_state.lane is 'llmq.models.lane.';
comment on column llmq.model_state.cooling_until is 'No claim before this; null or past: none.';
comment on column llmq.model_state.reason is 'The error that began the cool-down.';
comment on column llmq.model_state.error_class is 'capacity, out_of_quota, configuration or transient.';
comment on column llmq.model_state.failures is 'Transient failures in a row.';
comment on column llmq.model_state.admit is 'Calls that may be in flight at once while it recovers; null: as many as the limits allow.';
--! EndIncluded tables/model_state.sql
--! Included tables/routes.sql
create table llmq.routes (
  complexity text not null,
  task_type  text not null default '*',
  models     text[] not null,
  fallback_after interval,
  paused     boolean not null default false,
  updated_at timestamptz not null default now(),
  primary key (task_type, complexity),
  constraint routes_complexity check (complexity in ('simple', 'medium', 'complex', '*')),
  constraint routes_fallback_after check (fallback_after >= interval '0'),
  constraint routes_models check (cardinality(models) > 0 and array_position(models, null) is null)
);
comment on table llmq.routes is
  'Which models answer a request, in order of preference, by complexity and task type; ''*'' stands for any. The most specific row wins: task type first, then complexity.';
comment on column llmq.routes.complexity is 'simple, medium, complex, or * for any.';
comment on column llmq.routes.task_type is 'A task type, or * for any.';
comment on column llmq.routes.models is 'Names of llmq.models: the first is asked, the others are fallen back to in order.';
comment on column llmq.routes.fallback_after is 'A request that has waited so long for one model of the route goes on to the next; null: it waits.';
comment on column llmq.routes.paused is 'Nothing is claimed that is routed by this row while true; requests that name their model are not routed.';
--! EndIncluded tables/routes.sql
--! Included tables/entrances.sql
-- Where requests come in: what a submit has to know of routes, models and settings, found by one key. To look
-- it up where it is configured took a fifth of a submit. Kept by llmq.compile_entrances().
--
-- The row * says which task types have rows of their own: to ask for both at once and sort them takes longer
-- than all the rest of the look-up.
create table llmq.entrances (
  kind         text not null,
  name         text not null,
  model        text,
  lane         integer,
  max_attempts integer,
  pgmq_payload text,
  refuse_above integer,
  own_routes   text[],
  agents       boolean not null,
  primary key (kind, name)
);
comment on table llmq.entrances is 'Internal: compiled from llmq.routes, llmq.models and llmq.settings whenever one of them is changed. Edit those.';
comment on column llmq.entrances.kind is 'simple, medium or complex: a routed request; model: one that names its model.';
comment on column llmq.entrances.name is 'Task type, * for all that have no row of their own; or the model.';
comment on column llmq.entrances.model is 'First of the route; null: there is no route.';
comment on column llmq.entrances.lane is 'Null: the route begins with a model that is not configured.';
comment on column llmq.entrances.pgmq_payload is 'What is copied to pgmq; null: nothing.';
comment on column llmq.entrances.own_routes is 'In the rows *: task types that have a row of their own; null: none.';
comment on column llmq.entrances.agents is 'Whether an agent with a weight or an owner was ever configured: then submits look for theirs.';
--! EndIncluded tables/entrances.sql
--! Included tables/agents.sql
create table llmq.agents (
  agent_id         text primary key,
  weight           numeric not null default 1,
  max_concurrency  integer,
  daily_budget_usd numeric,
  monthly_budget_usd numeric,
  over_budget      text not null default 'wait',
  owner            name,
  paused           boolean not null default false,
  updated_at       timestamptz not null default now(),
  constraint agents_weight check (weight between 0.01 and 1000),
  constraint agents_limits check (max_concurrency > 0 and daily_budget_usd >= 0 and monthly_budget_usd >= 0),
  constraint agents_over_budget check (over_budget in ('wait', 'fail'))
);
-- The claim asks whether there is any of these before it looks at a single agent.
create index agents_limited on llmq.agents (agent_id)
  where paused or max_concurrency is not null or daily_budget_usd is not null or monthly_budget_usd is not null;

comment on table llmq.agents is 'Agents that need anything but the defaults; an agent without a row has weight 1 and no owner. Written by llmq.configure_agent().';
comment on column llmq.agents.weight is 'Share of a model''s starts beside other waiting agents of the same priority.';
comment on column llmq.agents.owner is 'Database role the agent belongs to: only its members (and llmq_admin) see or submit this agent''s requests. Null: any llmq_client.';
comment on column llmq.agents.max_concurrency is 'Its calls in flight at once, over all models and orchestrators; null means no limit.';
comment on column llmq.agents.daily_budget_usd is 'US dollars per day (UTC), by the prices in llmq.prices; null means no limit. Calls of models without a price are not counted.';
comment on column llmq.agents.monthly_budget_usd is 'US dollars per calendar month (UTC), likewise.';
comment on column llmq.agents.over_budget is 'wait: until the next day or month; fail: fails with budget_exceeded.';
comment on column llmq.agents.paused is 'None of its requests is claimed while true; calls in flight go on.';
--! EndIncluded tables/agents.sql
--! Included tables/workers.sql
-- One heartbeat per process instead of one per request: what it holds in llmq.in_flight refers to it.
create table llmq.workers (
  id           uuid primary key default llmq.uuid_v7(),
  name         text not null,
  started_at   timestamptz not null default clock_timestamp(),
  heartbeat_at timestamptz not null default clock_timestamp(),
  lost_after   interval not null default '20 seconds',
  stopping     boolean not null default false,
  info         jsonb not null default '{}',
  constraint workers_lost_after check (lost_after >= '1 second')
) with (fillfactor = 50);
comment on table llmq.workers is 'Live workers. One whose heartbeat is older than lost_after is gone: llmq.recover_lost_llm_requests() gives back what it held.';
comment on column llmq.workers.heartbeat_at is 'When it last said that it lives.';
comment on column llmq.workers.lost_after is 'Without a heartbeat for this long it is given up.';
comment on column llmq.workers.stopping is 'For a worker to set when it takes no more requests.';
comment on column llmq.workers.info is 'What it tells of itself: {"hostname", "pid", "in_flight", "concurrency", "listener"}.';
--! EndIncluded tables/workers.sql
--! Included tables/requests.sql
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
--! EndIncluded tables/requests.sql
--! Included tables/queue.sql
-- THE STATE MACHINE. Where the row is, is what it is: a pending request has a narrow row in llmq.queue, a processing
-- one in llmq.in_flight, a finished one in llmq.results.
--
--                submit                       claim
--   (nothing) ------------> pending ----------------------> processing
--                           |  ^  |                         |  |  |  |
--                   cancel, |  |  | retry later, cool-down, |  |  |  |
--                  deadline |  |  | released, lost          |  |  |  |
--                           |  |  +<------------------------+  |  |  |
--                           v  |                               |  |  |
--                   cancelled, |        mark_completed         |  |  |
--                      failed  |   completed <-----------------+  |  |
--                           |  |   failed    <--------------------+  |
--                           +--+   cancelled <-----------------------+
--                  retry_llm_request
--
-- A pending row is *waiting* (tag null: not due yet, or due and not ranked), *ready* (ranked by tag inside its
-- lane and priority) or *held* (the claim met it and its agent, route or twin does not let it run now: it is
-- out of every claim's way until llmq.release_held() makes it waiting again). Every index is partial on one of
-- these, so that each scan sees only rows it can use; those of lists alone are whole. The row has no jsonb and no text
-- that can grow: under a long transaction dead versions of it cannot be removed, and their size is what hurts.
--
-- A claim moves the row, where it could update a status instead. That needs a CHECK of the status against who holds
-- the row, which the server parses anew for every submit, and columns and indexes that no pending request uses:
-- together an eighth of a submit.
create table llmq.queue (
  -- In this order the server puts no padding between the columns.
  id              uuid not null,
  tag             double precision,
  run_at          timestamptz not null,
  deadline        timestamptz,
  created_at      timestamptz not null,
  pgmq_msg_id     bigint,
  lane            integer not null,
  calls           integer not null default 0,
  capacity_waits  integer not null default 0,
  priority        llmq.priority not null,
  max_attempts    llmq.attempt_limit not null,
  attempts        smallint not null default 0,
  reasks          smallint not null default 0,
  crashes         smallint not null default 0,
  route_step      smallint not null default 1,
  updated_at      timestamptz not null default clock_timestamp(),
  started_at      timestamptz,
  hold            llmq.hold_reason,
  pinned          boolean not null default false,
  has_reply_to    boolean not null default false,
  agent_id        text not null,
  task_type       text not null,
  complexity      llmq.complexity not null,
  error_type      text,
  error_message   varchar(300),
  constraint queue_pkey primary key (id)
) with (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_insert_scale_factor = 0.2,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.1,
  autovacuum_analyze_threshold = 2000
);

-- The claim: ready rows of a lane and priority in the order of their tags, from the lane's mark on.
create index queue_ready on llmq.queue (lane, priority, tag)
  where tag is not null;
-- Ranking: the last tag of one agent in a lane and priority. The probe reads all of the agent's entries on the
-- last page, 200 of them where there is a backlog: by two numbers that takes half as long as by four columns.
create index queue_ready_by_agent on llmq.queue (llmq.ranking_key(lane, priority, agent_id), tag)
  where tag is not null;
-- Promotion, and "what is due next": rows without a rank.
create index queue_waiting on llmq.queue (run_at)
  where tag is null and hold is null;
-- Release: what one agent has held, best first.
create index queue_held on llmq.queue (hold, agent_id, priority desc, id)
  where hold is not null;
-- Deadlines that pass.
create index queue_deadline on llmq.queue (deadline)
  where deadline is not null;
-- One agent's.
create index queue_of_agent on llmq.queue (agent_id);
-- One task type's.
create index queue_by_task_type on llmq.queue (task_type);

comment on table llmq.queue is 'Pending requests: what the claim reads. Narrow on purpose. Read it through the view llmq.llm_requests.';
comment on column llmq.queue.lane is 'llmq.models.lane of the model that will be asked. No foreign key: its check would lock a hot row per submit.';
comment on column llmq.queue.tag is 'Rank inside lane and priority, lowest first (start-time fair queuing); null while waiting to be due or ranked.';
comment on column llmq.queue.run_at is 'Not before this.';
comment on column llmq.queue.attempts is 'Failures that count. Capacity waits, re-asks and crashes have counters of their own.';
comment on column llmq.queue.hold is 'Why the claim passed it over and took it out of the way; null: nothing holds it.';
comment on column llmq.queue.started_at is 'When its last claim began; null before the first.';
comment on column llmq.queue.calls is 'Ledger rows written so far (llmq.attempts.number).';
comment on column llmq.queue.route_step is 'Which model of the route will be asked, from 1.';
comment on column llmq.queue.pinned is 'The caller named the model: no fall-back along a route.';
comment on column llmq.queue.error_message is 'Last error, cut to 300 characters; llmq.attempts has it whole.';
comment on column llmq.queue.priority is '-100 to 100, higher first.';
comment on column llmq.queue.pgmq_msg_id is 'Number of the copy in the pgmq queue llm_requests; null without pgmq.';
comment on column llmq.queue.capacity_waits is 'How often the model was limited, out of quota or misconfigured: not an attempt.';
comment on column llmq.queue.reasks is 'How often the model was asked again with the errors of its answer.';
comment on column llmq.queue.crashes is 'How many workers died over it.';
comment on column llmq.queue.error_type is 'Of the last failure, while it waits for the next attempt.';
--! EndIncluded tables/queue.sql
--! Included tables/in_flight.sql
-- Processing requests: a row moves here from llmq.queue with the claim that takes it, and goes with the outcome
-- that ends it or puts it back. No row without a claim, a worker and a start; none of them is ever updated.
create sequence llmq.claim_ids;
comment on sequence llmq.claim_ids is 'One number per claim: the fence a worker hands back with the outcome.';

create table llmq.in_flight (
  -- In this order the server puts no padding between the columns.
  id              uuid not null,
  worker_id       uuid not null,
  claim_id        bigint not null,
  started_at      timestamptz not null,
  run_at          timestamptz not null,
  deadline        timestamptz,
  created_at      timestamptz not null,
  pgmq_msg_id     bigint,
  reserved_usd    double precision,
  reserved_input  integer,
  reserved_output integer,
  lane            integer not null,
  calls           integer not null,
  capacity_waits  integer not null,
  priority        llmq.priority not null,
  max_attempts    llmq.attempt_limit not null,
  attempts        smallint not null,
  reasks          smallint not null,
  crashes         smallint not null,
  route_step      smallint not null,
  pinned          boolean not null,
  has_reply_to    boolean not null,
  agent_id        text not null,
  task_type       text not null,
  complexity      llmq.complexity not null,
  error_type      text,
  error_message   varchar(300),
  constraint in_flight_pkey primary key (id)
) with (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_insert_scale_factor = 0.2,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.1,
  autovacuum_analyze_threshold = 2000
);

-- Per lane, oldest first.
create index in_flight_of_lane on llmq.in_flight (lane, started_at);
-- Per agent, oldest first.
create index in_flight_of_agent on llmq.in_flight (agent_id, started_at);
-- Deadlines that pass.
create index in_flight_deadline on llmq.in_flight (deadline)
  where deadline is not null;

comment on table llmq.in_flight is 'Processing requests: who runs them, and since when. Read it through the view llmq.llm_requests.';
comment on column llmq.in_flight.worker_id is 'llmq.workers.id of the holder. No foreign key: a worker that is gone must leave what it held to be given back.';
comment on column llmq.in_flight.claim_id is 'Number of the claim that holds the row; an outcome with another number changes nothing.';
comment on column llmq.in_flight.started_at is 'When the claim began.';
comment on column llmq.in_flight.reserved_input is 'Input tokens that its claim took from the limits of model and provider; 0 where only requests are counted, null where nothing is.';
comment on column llmq.in_flight.reserved_output is 'Output tokens, likewise.';
comment on column llmq.in_flight.reserved_usd is 'US dollars that its claim took from the agent''s budget; null without one.';
comment on column llmq.in_flight.lane is 'llmq.models.lane of the model that is being asked.';
comment on column llmq.in_flight.run_at is 'When it was due.';
comment on column llmq.in_flight.pgmq_msg_id is 'Number of the copy in the pgmq queue llm_requests; null without pgmq.';
comment on column llmq.in_flight.calls is 'Ledger rows written so far (llmq.attempts.number).';
comment on column llmq.in_flight.attempts is 'Failures that counted before this claim; so do the other counters.';
comment on column llmq.in_flight.capacity_waits is 'How often the model was limited, out of quota or misconfigured: not an attempt.';
comment on column llmq.in_flight.reasks is 'How often the model was asked again with the errors of its answer.';
comment on column llmq.in_flight.crashes is 'How many workers died over it.';
comment on column llmq.in_flight.route_step is 'Which model of the route is being asked, from 1.';
comment on column llmq.in_flight.pinned is 'The caller named the model: no fall-back along a route.';
comment on column llmq.in_flight.error_type is 'Of the last failure before this claim.';
comment on column llmq.in_flight.error_message is 'Of the same, cut to 300 characters; llmq.attempts has it whole.';
--! EndIncluded tables/in_flight.sql
--! Included tables/results.sql
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
--! EndIncluded tables/results.sql
--! Included tables/attempts.sql
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
--! EndIncluded tables/attempts.sql
--! Included tables/idempotency_keys.sql
-- Unique across the partitions of llmq.requests, which a constraint there could not be.
create table llmq.idempotency_keys (
  agent_id   text not null,
  key        text not null,
  request_id uuid not null,
  primary key (agent_id, key)
);
create index idempotency_keys_by_request on llmq.idempotency_keys (request_id);
comment on table llmq.idempotency_keys is 'The same key from the same agent gives the same request, until its retention ends.';
--! EndIncluded tables/idempotency_keys.sql
--! Included tables/tool_results.sql
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
--! EndIncluded tables/tool_results.sql
--! Included tables/lane_marks.sql
-- Where claims start. A mark is a hint: rows below it are found by the sweep within a second or two.
create table llmq.lane_marks (
  lane       integer not null,
  priority   smallint not null,
  vt         double precision not null default 0,
  previous   double precision not null default 0,
  scan       double precision not null default 0,
  rotated_at timestamptz not null default clock_timestamp(),
  served_at  timestamptz not null default clock_timestamp(),
  primary key (lane, priority)
) with (fillfactor = 10, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);
comment on table llmq.lane_marks is 'Per lane and priority: virtual time of the fair queue and the low-water mark at which claims start.';
comment on column llmq.lane_marks.vt is 'Highest tag claimed (as of at most 100 ms ago): new requests are ranked after it.';
comment on column llmq.lane_marks.scan is 'vt as of one to two seconds ago: below it lie only rows whose submitters committed late.';
comment on column llmq.lane_marks.served_at is 'Lanes that waited longest are served first.';

-- One row: how far promotion has looked, and when the sweep last ran.
create table llmq.sweep_state (
  only_one        boolean primary key default true,
  promoted_until  timestamptz not null default '-infinity',
  swept_at        timestamptz not null default '-infinity',
  released_after  text not null default '',
  recover_from    timestamptz not null default '-infinity',
  constraint sweep_state_one_row check (only_one)
) with (fillfactor = 10, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);
insert into llmq.sweep_state default values;
comment on table llmq.sweep_state is 'Internal: progress of promotion, of the sweep and of the release of held requests.';
comment on column llmq.sweep_state.recover_from is 'No worker is taken for lost before this: the server or everybody had stood still.';
--! EndIncluded tables/lane_marks.sql
--! Included tables/usage.sql
-- The ledger of the limits: what limited models and providers used, row by row, so that "in the last minute"
-- is a sum that is exact at every moment. Rows are only inserted: a row that every claim updated would be read
-- through thousands of dead versions under a long transaction.
--
--   claim      one row per limited model and provider: calls begun, tokens reserved
--   finish     what was really used, less what was reserved. What comes back counts from the call's start: it
--              leaves the window together with the reservation, never later. What came on top counts from now.
--   maintain   puts the rows of each half second together, and drops what no window reaches
create table llmq.usage (
  meter         integer not null,
  at            timestamptz not null,
  requests      integer not null,
  input_tokens  bigint not null default 0,
  output_tokens bigint not null default 0,
  oldest_start  timestamptz,
  compact       boolean not null default false
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
create index usage_by_meter on llmq.usage (meter, at);
create index usage_to_compact on llmq.usage (meter, at) where not compact;

comment on table llmq.usage is 'What limited models and providers used in the last two minutes. Written by the claim and at the finish; kept by llmq.maintain().';
comment on column llmq.usage.meter is 'llmq.models.lane, or llmq.providers.meter.';
comment on column llmq.usage.oldest_start is 'Start of the oldest call that was in flight then: counting calls begins there, above the dead rows of finished ones. Null in corrections.';
comment on column llmq.usage.compact is 'Sum of several rows.';
--! EndIncluded tables/usage.sql
--! Included tables/token_estimates.sql
-- What the claim needs to guess how many tokens a call will take, learned from those that came back.
create table llmq.token_estimates (
  lane         integer primary key,
  input_factor double precision not null default 1,
  output_p90   double precision,
  samples      bigint not null default 0,
  updated_at   timestamptz not null default clock_timestamp(),
  constraint token_estimates_positive check (input_factor > 0 and output_p90 > 0)
) with (fillfactor = 10, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);
comment on table llmq.token_estimates is 'Per limited model: how prompts and answers turn into tokens, learned from what was used. Delete a row to learn anew.';
comment on column llmq.token_estimates.lane is 'llmq.models.lane.';
comment on column llmq.token_estimates.input_factor is 'Tokens counted by the provider for every token of llmq.estimate_input_tokens().';
comment on column llmq.token_estimates.output_p90 is 'Tokens that nine of ten answers stay below; what a call without max_tokens reserves.';
comment on column llmq.token_estimates.samples is 'Calls learned from.';
--! EndIncluded tables/token_estimates.sql
--! Included tables/agent_usage.sql
-- The ledger of limited agents, insert-only, as llmq.usage is: US dollars of those that have a budget, and where
-- counting their calls begins. The claim reserves an estimate, the finish corrects it, both dated by the start of the
-- call, so that a call belongs to one day.
--
-- llmq.maintain() puts them together: one row per agent holds the sums of its day and month up to its time, and only
-- what came after it is added up. A correction dated before it counts from the next time on, a second or two later.
create table llmq.agent_usage (
  agent_id     text not null,
  at           timestamptz not null,
  usd          numeric not null default 0,
  oldest_start timestamptz,
  compact      boolean not null default false,
  usd_of_month numeric
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
create index agent_usage_by_agent on llmq.agent_usage (agent_id, at) where not compact;
create index agent_usage_sums on llmq.agent_usage (agent_id, at) where compact;

comment on table llmq.agent_usage is 'What agents with a budget spent and reserved: a sum per agent, and what came after it. Ask llmq.agent_spent().';
comment on column llmq.agent_usage.at is 'Start of the call; of a sum, up to when it counts.';
comment on column llmq.agent_usage.usd is 'US dollars: reserved at the claim, or the difference to what the call cost; of a sum, those of its day (UTC).';
comment on column llmq.agent_usage.oldest_start is 'Start of the oldest call the agent had in flight then: counting them begins there, above the dead rows of finished ones. Null in corrections and sums.';
comment on column llmq.agent_usage.compact is 'A sum.';
comment on column llmq.agent_usage.usd_of_month is 'Of a sum: US dollars of its calendar month (UTC).';
--! EndIncluded tables/agent_usage.sql
--! Included tables/twins.sql
-- Who may have another's answer: a row for each unfinished request with settings.share or cache_seconds. Beside
-- llmq.queue and not in it, where every other request would carry its columns and its index along.
create table llmq.twins (
  request_id uuid not null,
  share_key  uuid not null,
  leader_id  uuid,
  shares     boolean not null,
  constraint twins_pkey primary key (request_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
-- Identical requests, and who of them waits for whose answer.
create index twins_by_key on llmq.twins (share_key, leader_id);

comment on table llmq.twins is 'Requests that are not finished and may share a call or an answer with identical ones.';
comment on column llmq.twins.request_id is 'A row of llmq.queue.';
comment on column llmq.twins.share_key is 'Hash of all that the model would see: llmq.share_key().';
comment on column llmq.twins.shares is 'It may wait for the answer of an identical request in flight (settings.share).';
comment on column llmq.twins.leader_id is 'The identical request whose answer it waits for, while llmq.queue.hold is shared.';
--! EndIncluded tables/twins.sql
--! Included tables/cached_answers.sql
create table llmq.cached_answers (
  share_key   uuid not null,
  lane        integer not null,
  request_id  uuid not null,
  finished_at timestamptz not null,
  expires_at  timestamptz not null,
  primary key (share_key, lane)
);
create index cached_answers_by_expiry on llmq.cached_answers (expires_at);
comment on table llmq.cached_answers is 'Answers that identical requests with settings.cache_seconds may have again.';
comment on column llmq.cached_answers.share_key is 'llmq.share_key() of the request.';
comment on column llmq.cached_answers.request_id is 'Whose answer it is: a row of llmq.results.';
comment on column llmq.cached_answers.expires_at is 'By the cache_seconds of the request that was answered; whoever asks is also bound by its own.';
--! EndIncluded tables/cached_answers.sql
--! Included tables/cancellations.sql
create table llmq.cancellations (
  worker_id  uuid not null,
  claim_id   bigint not null,
  request_id uuid not null,
  primary key (worker_id, claim_id)
);
comment on table llmq.cancellations is 'Running calls that a worker should abort: their request was cancelled or ran out of time. Taken by llmq.take_cancellations().';
--! EndIncluded tables/cancellations.sql
--! Included tables/armed.sql
-- Does an orchestrator sleep? A sequence is read and written without a lock and leaves no dead rows.
-- 1: all awake, a submit need not notify. 2: somebody sleeps.
create sequence llmq.armed minvalue 1 maxvalue 2 start 1 no cycle;
comment on sequence llmq.armed is '2 while an orchestrator sleeps and wants to be woken by NOTIFY llmq_wake, else 1.';
--! EndIncluded tables/armed.sql
--! Included tables/shared_queues.sql
create table llmq.shared_queues (
  queue_name  text primary key,
  handler     text not null,
  enabled     boolean not null default true,
  max_reads   integer not null default 5,
  retry_after interval not null default '30 seconds',
  constraint shared_queues_handler check (handler ~ '^[^\s]+\.[^\s]+$'),
  constraint shared_queues_max_reads check (max_reads between 1 and 1000)
);
comment on table llmq.shared_queues is 'pgmq queues that orchestrators empty (loop b), and the SQL function that each message is given to.';
comment on column llmq.shared_queues.handler is 'schema.function (queue_name text, message_id bigint, message jsonb) returns void. It runs in the transaction that archives the message: exactly once. The queue llm_results is validated by the orchestrator instead.';
comment on column llmq.shared_queues.max_reads is 'A message whose handler failed this often is set aside (llmq.set_aside).';
comment on column llmq.shared_queues.retry_after is 'Pause before a failed message is handled again; those behind it do not wait.';
comment on column llmq.shared_queues.enabled is 'False: its messages stay where they are.';
--! EndIncluded tables/shared_queues.sql
--! Included tables/inbox.sql
create table llmq.inbox (
  id          bigint generated always as identity primary key,
  queue_name  text not null,
  message_id  bigint not null,
  agent_id    text,
  message     jsonb not null,
  received_at timestamptz not null default clock_timestamp(),
  read_at     timestamptz,
  constraint inbox_once unique (queue_name, message_id)
);
create index inbox_unread on llmq.inbox (agent_id, id) where read_at is null;
comment on table llmq.inbox is 'Messages of job_results, approval_responses and question_responses for agents. The agent is told on llmq.inbox_channel(agent_id).';
comment on column llmq.inbox.queue_name is 'The shared queue it came from.';
comment on column llmq.inbox.message_id is 'Its number in pgmq.';
comment on column llmq.inbox.agent_id is 'Whom it is for; null when the message does not say.';
comment on column llmq.inbox.read_at is 'For the reader to set; null: not read.';
--! EndIncluded tables/inbox.sql
--! Included tables/set_aside.sql
create table llmq.set_aside (
  id           bigint generated always as identity primary key,
  queue_name   text not null,
  message_id   bigint,
  message      jsonb not null,
  error        text not null,
  set_aside_at timestamptz not null default clock_timestamp()
);
comment on table llmq.set_aside is 'Messages that could not be handled or delivered, with the last error: look, mend the cause, and send the message again with pgmq.send().';
comment on column llmq.set_aside.queue_name is 'The queue it came from, or could not be sent to (reply_to).';
comment on column llmq.set_aside.message_id is 'Its number in pgmq; null for a reply that could not be sent.';
comment on column llmq.set_aside.error is 'Of the last attempt to handle or deliver it.';
--! EndIncluded tables/set_aside.sql

-- Who asks, and what they may see
--! Included internal/setting.sql
create function llmq.setting(name text) returns jsonb
language sql stable parallel safe
as $$ select s.value from llmq.settings as s where s.name = setting.name $$;
comment on function llmq.setting(text) is 'Value of one row of llmq.settings; null when there is none.';
--! EndIncluded internal/setting.sql
--! Included internal/caller.sql
-- Inside a SECURITY DEFINER function current_user is the owner; the role a connection chose by SET ROLE, or
-- else logged in with, is who asks.
create function llmq.caller() returns name
language sql stable parallel safe
as $$ select coalesce(nullif(current_setting('role', true), 'none'), session_user::text)::name $$;
comment on function llmq.caller() is 'The role that called, also inside SECURITY DEFINER functions.';
--! EndIncluded internal/caller.sql
--! Included internal/may_use_agent.sql
create function llmq.may_use_agent(agent_id text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce((
    select a.owner is null
        or pg_catalog.pg_has_role(llmq.caller(), coalesce(r.oid, 0), 'member')
        or exists (
          select from pg_catalog.pg_roles as admin
          where admin.rolname = 'llmq_admin' and pg_catalog.pg_has_role(llmq.caller(), admin.oid, 'member')
        )
        or pg_catalog.pg_has_role(llmq.caller(), (select o.nspowner from pg_catalog.pg_namespace as o where o.nspname = 'llmq'), 'member')
    from llmq.agents as a
    left join pg_catalog.pg_roles as r on r.rolname = a.owner
    where a.agent_id = may_use_agent.agent_id
  ), true)
$$;
comment on function llmq.may_use_agent(text) is 'Whether the caller may submit and read for this agent: always, unless llmq.agents names an owner the caller is no member of. llmq_admin and the owner of the schema may for all.';
--! EndIncluded internal/may_use_agent.sql
--! Included internal/hidden_agents.sql
create function llmq.hidden_agents() returns text[]
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(array_agg(a.agent_id), '{}')
  from llmq.agents as a
  where a.owner is not null and not llmq.may_use_agent(a.agent_id)
$$;
comment on function llmq.hidden_agents() is 'Agents that belong to other roles; the view llmq.llm_requests leaves them out.';
--! EndIncluded internal/hidden_agents.sql

-- The view
--! Included internal/fallbacks_of.sql
create function llmq.fallbacks_of(request_id uuid, model text) returns jsonb
language sql stable
as $$
  select jsonb_agg(jsonb_build_object('model', a.model, 'outcome', a.outcome, 'error_message', a.error_message) order by a.number)
  from llmq.attempts as a
  where a.request_id = fallbacks_of.request_id and a.model <> fallbacks_of.model
$$;
comment on function llmq.fallbacks_of(uuid, text) is 'Internal: why models before this one did not answer a request.';
--! EndIncluded internal/fallbacks_of.sql
--! Included views/all_llm_requests.sql
-- THE VIEW's three branches, one for each table a request can be in; a condition on status leaves those it can be
-- true for (constants and the CHECK of llmq.results say so to the planner). Fat columns are fetched by id, row by
-- row, and only when asked for: joining llmq.requests here makes the planner hash all of it (628 ms instead of 0.3
-- for the first 20 pending).
--
-- No condition in a branch, and the same types in all: only then are they read in the order of an index. With
-- a WHERE each, the newest 50 of 200,000 took 3,200 ms instead of 0.1.
create view llmq.all_llm_requests as
select
  q.id, q.agent_id, q.task_type, q.complexity::text,
  (select r.messages::jsonb from llmq.requests as r where r.id = q.id) as messages,
  (select r.context::jsonb from llmq.requests as r where r.id = q.id) as context,
  'pending'::text as status,
  case when q.pgmq_msg_id is not null then q.created_at end as published_at,
  q.error_message::text, q.created_at, q.updated_at,
  (select r.response_schema::jsonb from llmq.requests as r where r.id = q.id) as response_schema,
  null::text as response, null::jsonb as parsed_response, null::jsonb as validation_errors,
  q.error_type, q.priority::smallint, q.run_at, q.deadline, q.started_at, null::timestamptz as finished_at,
  (select m.name from llmq.models as m where m.lane = q.lane) as model,
  (select m.provider from llmq.models as m where m.lane = q.lane) as provider,
  q.attempts, q.max_attempts::smallint, q.capacity_waits, q.reasks, q.crashes, q.calls,
  null::text as finish_reason, null::jsonb as repairs,
  null::bigint as input_tokens, null::bigint as output_tokens, null::bigint as cached_input_tokens,
  null::bigint as reasoning_tokens, null::numeric as cost_usd,
  (select r.tools::jsonb from llmq.requests as r where r.id = q.id) as tools,
  (select r.settings::jsonb from llmq.requests as r where r.id = q.id) as settings,
  (select r.idempotency_key from llmq.requests as r where r.id = q.id) as idempotency_key,
  (select r.reply_to from llmq.requests as r where r.id = q.id) as reply_to,
  (select r.parent_id from llmq.requests as r where r.id = q.id) as parent_id,
  null::jsonb as tool_results, null::uuid as next_request_id,
  case when q.calls > 0 then llmq.fallbacks_of(q.id, (select m.name from llmq.models as m where m.lane = q.lane)) end as fallbacks
from llmq.queue as q
union all
select
  h.id, h.agent_id, h.task_type, h.complexity::text,
  (select r.messages::jsonb from llmq.requests as r where r.id = h.id),
  (select r.context::jsonb from llmq.requests as r where r.id = h.id),
  'processing'::text,
  case when h.pgmq_msg_id is not null then h.created_at end,
  h.error_message::text, h.created_at, h.started_at,
  (select r.response_schema::jsonb from llmq.requests as r where r.id = h.id),
  null::text, null::jsonb, null::jsonb,
  h.error_type, h.priority::smallint, h.run_at, h.deadline, h.started_at, null::timestamptz,
  (select m.name from llmq.models as m where m.lane = h.lane),
  (select m.provider from llmq.models as m where m.lane = h.lane),
  h.attempts, h.max_attempts::smallint, h.capacity_waits, h.reasks, h.crashes, h.calls,
  null::text, null::jsonb,
  null::bigint, null::bigint, null::bigint,
  null::bigint, null::numeric,
  (select r.tools::jsonb from llmq.requests as r where r.id = h.id),
  (select r.settings::jsonb from llmq.requests as r where r.id = h.id),
  (select r.idempotency_key from llmq.requests as r where r.id = h.id),
  (select r.reply_to from llmq.requests as r where r.id = h.id),
  (select r.parent_id from llmq.requests as r where r.id = h.id),
  null::jsonb, null::uuid,
  case when h.calls > 0 then llmq.fallbacks_of(h.id, (select m.name from llmq.models as m where m.lane = h.lane)) end
from llmq.in_flight as h
union all
select
  f.id, f.agent_id, f.task_type, f.complexity,
  (select r.messages::jsonb from llmq.requests as r where r.id = f.id),
  (select r.context::jsonb from llmq.requests as r where r.id = f.id),
  f.status, f.published_at, f.error_message, f.created_at, f.finished_at,
  (select r.response_schema::jsonb from llmq.requests as r where r.id = f.id),
  f.response, f.parsed_response, f.validation_errors,
  f.error_type, f.priority, f.run_at, f.deadline, f.started_at, f.finished_at,
  f.model, f.provider,
  f.attempts, f.max_attempts, f.capacity_waits, f.reasks, f.crashes, f.calls,
  f.finish_reason, f.repairs,
  f.input_tokens, f.output_tokens, f.cached_input_tokens, f.reasoning_tokens, f.cost_usd,
  (select r.tools::jsonb from llmq.requests as r where r.id = f.id),
  (select r.settings::jsonb from llmq.requests as r where r.id = f.id),
  (select r.idempotency_key from llmq.requests as r where r.id = f.id),
  (select r.reply_to from llmq.requests as r where r.id = f.id),
  (select r.parent_id from llmq.requests as r where r.id = f.id),
  (select t.results from llmq.tool_results as t where t.request_id = f.id),
  (select t.next_request_id from llmq.tool_results as t where t.request_id = f.id),
  case when f.calls > 1 then llmq.fallbacks_of(f.id, f.model) end
from llmq.results as f;

comment on view llmq.all_llm_requests is 'Internal: llmq.llm_requests without regard to who owns an agent. For functions that ask llmq.may_use_agent() themselves.';
--! EndIncluded views/all_llm_requests.sql
--! Included views/llm_requests.sql
-- THE VIEW: what apps, ORMs and DBAs read. Requests of agents that belong to other roles are left out.
--
-- The row filter alone would not keep them secret: a cheap function in the caller's own WHERE is evaluated
-- before it and sees what is in the row. A security barrier would stop that, and every index with it. So what
-- people said is null until the filter has spoken; times, counts and names are not worth that.
create view llmq.llm_requests as
select
  v.id, v.agent_id, v.task_type, v.complexity,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.messages end as messages,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.context end as context,
  v.status, v.published_at,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.error_message end as error_message,
  v.created_at, v.updated_at,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.response_schema end as response_schema,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.response end as response,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.parsed_response end as parsed_response,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.validation_errors end as validation_errors,
  v.error_type, v.priority, v.run_at, v.deadline, v.started_at, v.finished_at, v.model, v.provider,
  v.attempts, v.max_attempts, v.capacity_waits, v.reasks, v.crashes, v.calls, v.finish_reason,
  v.repairs, v.input_tokens, v.output_tokens, v.cached_input_tokens, v.reasoning_tokens, v.cost_usd,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.tools end as tools,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.settings end as settings,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.idempotency_key end as idempotency_key,
  v.reply_to, v.parent_id,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.tool_results end as tool_results,
  v.next_request_id,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.fallbacks end as fallbacks
from llmq.all_llm_requests as v
where v.agent_id <> all ((select llmq.hidden_agents())::text[]);

comment on view llmq.llm_requests is
$$Every request, waiting, running or finished: what became of it?
insert into llmq.llm_requests (agent_id, task_type, messages, ...) submits one; UPDATE and DELETE are refused (LQ007). Newest first: order by id desc.$$;
comment on column llmq.llm_requests.status is 'pending, processing, completed, failed or cancelled.';
comment on column llmq.llm_requests.published_at is 'When it was copied to the pgmq queue llm_requests; null without pgmq.';
comment on column llmq.llm_requests.response is 'The model''s answer as it came.';
comment on column llmq.llm_requests.parsed_response is 'The answer as JSON after repair and schema check; {"tool_calls": [{"id", "tool_name", "params"}], "final_response"} for tool calls.';
comment on column llmq.llm_requests.validation_errors is '[{"type": "json_decode_error", "error", "position", "response_preview"}] or [{"type": "schema_violation", "field", "message"}, ...].';
comment on column llmq.llm_requests.attempts is 'Failures that counted so far; capacity waits, re-asks and crashes have columns of their own.';
comment on column llmq.llm_requests.model is 'The model that will be, is being or was asked last.';
comment on column llmq.llm_requests.tool_results is 'What the agent gave back for the tool calls of this answer (llmq.submit_tool_results).';
comment on column llmq.llm_requests.next_request_id is 'The request that carries the conversation on after its tool calls.';
comment on column llmq.llm_requests.fallbacks is 'Why other models of the route did not answer, in order: [{"model", "outcome", "error_message"}, ...]; null when none was asked or passed over.';
comment on column llmq.llm_requests.id is 'UUIDv7: sorts by time of submit.';
comment on column llmq.llm_requests.messages is 'The conversation as submitted; not for llmq_reader, as all prompts and answers.';
comment on column llmq.llm_requests.updated_at is 'Last change; the same as finished_at once finished.';
comment on column llmq.llm_requests.error_type is 'provider_unavailable, malformed_response, exception, deadline_exceeded, refused, truncated, too_long, bad_request, lost, budget_exceeded: set when failed, and while pending after a failure.';
comment on column llmq.llm_requests.error_message is 'Why it failed or was cancelled; of the last failure (cut to 300 characters) while it is not finished.';
comment on column llmq.llm_requests.run_at is 'Not before this: as submitted, or when the next attempt is due.';
comment on column llmq.llm_requests.started_at is 'When the last claim began.';
comment on column llmq.llm_requests.max_attempts is 'Failures after which it fails.';
comment on column llmq.llm_requests.capacity_waits is 'How often the model was limited, out of quota or misconfigured: not an attempt.';
comment on column llmq.llm_requests.reasks is 'How often the model was asked again with the errors of its answer.';
comment on column llmq.llm_requests.crashes is 'How many workers died over it.';
comment on column llmq.llm_requests.calls is 'Calls made so far: rows of llmq.attempts.';
comment on column llmq.llm_requests.finish_reason is 'How the model ended: stop, length, tool_calls, content_filter, other.';
comment on column llmq.llm_requests.repairs is 'What was mended in the answer, in order: think_block, code_fence, extracted_json, repaired_json, coerced, reasked, larger_max_tokens.';
comment on column llmq.llm_requests.input_tokens is 'Sum over all calls, failed ones included; so are the other token columns and cost_usd.';
comment on column llmq.llm_requests.cost_usd is 'US dollars; null until it is finished, and where no call has a cost (llmq.attempts.cost_usd).';
comment on column llmq.llm_requests.reply_to is 'The pgmq queue that gets the result.';
comment on column llmq.llm_requests.parent_id is 'The request whose tool calls this one answers, or whatever the submitter gave.';
--! EndIncluded views/llm_requests.sql

-- Checks of input
--! Included checks/raise_invalid.sql
create function llmq.raise_invalid(message text, detail text, hint text) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception using errcode = 'LQ001', message = message, detail = coalesce(detail, ''), hint = coalesce(hint, '');
end
$$;
comment on function llmq.raise_invalid(text, text, text) is 'Internal: raises LQ001 (invalid input).';
--! EndIncluded checks/raise_invalid.sql
--! Included checks/describe_value.sql
-- For the DETAIL of an error, which also lands in the server's log: never more than a glimpse.
create function llmq.describe_value(value jsonb) returns text
language sql immutable parallel safe
as $$
  select case coalesce(jsonb_typeof(value), 'missing')
    when 'missing' then 'It is missing.'
    when 'object' then 'It is an object.'
    when 'array' then format('It is an array of %s.', jsonb_array_length(value))
    else format('It is %s.', case when length(value::text) > 60 then left(value::text, 60) || '...' else value::text end)
  end
$$;
comment on function llmq.describe_value(jsonb) is 'Internal: says what a wrong JSON value is, in a few words.';
--! EndIncluded checks/describe_value.sql
--! Included checks/quote_glimpse.sql
create function llmq.quote_glimpse(value text) returns text
language sql immutable parallel safe
as $$
  select quote_literal(case when length(value) > 60 then left(value, 60) || '...' else value end)
$$;
comment on function llmq.quote_glimpse(text) is 'Internal: the first 60 characters, quoted, for an error.';
--! EndIncluded checks/quote_glimpse.sql
--! Included checks/number_fault.sql
create function llmq.number_fault(value jsonb, lowest numeric, highest numeric, whole boolean) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if jsonb_typeof(value) <> 'number' or value::numeric not between lowest and highest or (whole and value::numeric <> trunc(value::numeric)) then
    return format('must be %s from %s to %s', case when whole then 'an integer' else 'a number' end, lowest, highest);
  end if;
  return null;
end
$$;
comment on function llmq.number_fault(jsonb, numeric, numeric, boolean) is
  'Internal: null for a JSON number in the range (a whole one if asked for), else what it must be.';
--! EndIncluded checks/number_fault.sql
--! Included checks/check_name.sql
-- What people name things with ends up in logs, channel names and indexes: no control characters, and a length.
create function llmq.check_name(value text, what text, max_length int = 200) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_max constant int := coalesce(max_length, 200);
  v_control text;
begin
  if length(value) <= v_max and btrim(value) <> '' and value !~ '[\u0001-\u001f\u007f-\u009f]' then
    return;
  end if;
  if value is null then
    perform llmq.raise_invalid(format('%s must not be null', what), 'It is null.', format('Give 1 to %s characters.', v_max));
  elsif btrim(value) = '' then
    perform llmq.raise_invalid(
      format('%s must not be empty', what), format('It has %s characters, all of them spaces.', length(value)),
      format('Give 1 to %s characters.', v_max)
    );
  elsif length(value) > v_max then
    perform llmq.raise_invalid(
      format('%s must be at most %s characters long', what, v_max), format('It has %s.', length(value)),
      'Keep long text in context or messages.'
    );
  end if;
  v_control := substring(value from '[\u0001-\u001f\u007f-\u009f]');
  perform llmq.raise_invalid(
    format('%s must not contain control characters', what),
    format('Character %s is U+%s.', strpos(value, v_control), upper(lpad(to_hex(ascii(v_control)), 4, '0'))),
    'Remove line breaks, tabs and the like.'
  );
end
$$;
comment on function llmq.check_name(text, text, int) is
$$Internal: a name must be there, not blank, without control characters and at most max_length characters long, else LQ001.
what: how the error calls it, for example agent_id.$$;
--! EndIncluded checks/check_name.sql
--! Included checks/check_context.sql
create function llmq.check_context(context jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if context is null then
    return;
  end if;
  if jsonb_typeof(context) <> 'object' then
    perform llmq.raise_invalid('context must be an object', llmq.describe_value(context), 'Leave it out or send {}.');
  end if;
  if context ? 'executor' and context -> 'executor' <> '"external"' then
    perform llmq.raise_invalid(
      'context.executor must be ''external''', llmq.describe_value(context -> 'executor'),
      'Leave it out for requests that the orchestrator answers.'
    );
  end if;
  if jsonb_typeof(context -> 'traceparent') <> 'string' then
    perform llmq.raise_invalid(
      'context.traceparent must be a string', llmq.describe_value(context -> 'traceparent'),
      'See W3C Trace Context: 00-<trace id>-<parent id>-<flags>.'
    );
  end if;
end
$$;
comment on function llmq.check_context(jsonb) is
  'Internal: context must be an object (null counts as {}); executor absent or external; traceparent a string; else LQ001. Other keys are the caller''s own.';
--! EndIncluded checks/check_context.sql
--! Included checks/check_tool_call_ids.sql
-- Both sides are sets that are hashed once: a conversation may have thousands of turns.
create function llmq.check_tool_call_ids(messages jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_place bigint;
  v_id text;
begin
  if not messages @? '$[*] ? (@.role == "tool")' then
    return;
  end if;
  select t.place - 1, t.message ->> 'tool_call_id'
  into v_place, v_id
  from jsonb_array_elements(messages) with ordinality as t (message, place)
  left join (
    select c.call ->> 'id' as id, min(a.place) as place
    from jsonb_array_elements(messages) with ordinality as a (message, place)
    cross join lateral jsonb_array_elements(
      case when a.message ->> 'role' = 'assistant' and jsonb_typeof(a.message -> 'tool_calls') = 'array'
        then a.message -> 'tool_calls' else '[]' end
    ) as c (call)
    group by c.call ->> 'id'
  ) as made on made.id = t.message ->> 'tool_call_id' and made.place < t.place
  where t.message ->> 'role' = 'tool' and made.id is null
  order by t.place
  limit 1;
  if found then
    perform llmq.raise_invalid(
      format('messages[%s].tool_call_id must be the id of an earlier tool call', v_place),
      format('No assistant message before it has a call %s.', llmq.quote_glimpse(v_id)),
      'Send the assistant message with its tool_calls before the results.'
    );
  end if;
end
$$;
comment on function llmq.check_tool_call_ids(jsonb) is
  'Internal: each tool message must answer a call of an earlier assistant message, else LQ001. For messages of the right shape only.';
--! EndIncluded checks/check_tool_call_ids.sql
--! Included checks/refuse_content_part.sql
create function llmq.refuse_content_part(part jsonb, place text) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_hint constant text := 'Parts: {"type": "text", "text": ...}, {"type": "image_url", "image_url": {"url": ...}}, '
    '{"type": "file", "file": {"file_data": ...}}, {"type": "input_audio", "input_audio": {...}}.';
begin
  if jsonb_typeof(part) <> 'object' then
    perform llmq.raise_invalid(format('%s must be an object', place), llmq.describe_value(part), v_hint);
  end if;
  case (case when jsonb_typeof(part -> 'type') = 'string' then part ->> 'type' end)
    when 'text' then
      if jsonb_typeof(part -> 'text') is distinct from 'string' then
        perform llmq.raise_invalid(format('%s.text must be a string', place), llmq.describe_value(part -> 'text'), v_hint);
      end if;
    when 'image_url' then
      if jsonb_typeof(part -> 'image_url') is distinct from 'object' then
        perform llmq.raise_invalid(format('%s.image_url must be an object', place), llmq.describe_value(part -> 'image_url'), v_hint);
      elsif jsonb_typeof(part #> '{image_url,url}') is distinct from 'string' or part #> '{image_url,url}' = '""' then
        perform llmq.raise_invalid(
          format('%s.image_url.url must be a non-empty string', place), llmq.describe_value(part #> '{image_url,url}'),
          'An https: or data: URL.'
        );
      end if;
    when 'file' then
      if jsonb_typeof(part -> 'file') is distinct from 'object' then
        perform llmq.raise_invalid(format('%s.file must be an object', place), llmq.describe_value(part -> 'file'), v_hint);
      elsif jsonb_typeof(part #> '{file,file_data}') is distinct from 'string'
        and jsonb_typeof(part #> '{file,file_id}') is distinct from 'string'
      then
        perform llmq.raise_invalid(
          format('%s.file must have file_data or file_id, a string', place),
          format('It has %s.', coalesce((select string_agg(k.key, ', ') from jsonb_object_keys(part -> 'file') as k (key)), 'no keys')),
          'file_data is a data: URL; file_id names an uploaded file.'
        );
      end if;
    when 'input_audio' then
      if jsonb_typeof(part -> 'input_audio') is distinct from 'object' then
        perform llmq.raise_invalid(format('%s.input_audio must be an object', place), llmq.describe_value(part -> 'input_audio'), v_hint);
      end if;
    else
      perform llmq.raise_invalid(
        format('%s.type must be text, image_url, file or input_audio', place), llmq.describe_value(part -> 'type'), v_hint
      );
  end case;
end
$$;
comment on function llmq.refuse_content_part(jsonb, text) is 'Internal: raises LQ001 when a part of a message''s content has not the shape of its type.';
--! EndIncluded checks/refuse_content_part.sql
--! Included checks/refuse_tool_calls.sql
create function llmq.refuse_tool_calls(tool_calls jsonb, place text) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_call  jsonb;
  v_at    text;
  v_index int := -1;
begin
  -- Client libraries write null for "none" when they send an answer back.
  if tool_calls is null or tool_calls = 'null' then
    return;
  elsif jsonb_typeof(tool_calls) <> 'array' then
    perform llmq.raise_invalid(format('%s must be an array', place), llmq.describe_value(tool_calls), 'Leave it out when there are none.');
  end if;
  for v_call in select e.call from jsonb_array_elements(tool_calls) as e (call) loop
    v_index := v_index + 1;
    v_at := format('%s[%s]', place, v_index);
    if jsonb_typeof(v_call) <> 'object' then
      perform llmq.raise_invalid(
        format('%s must be an object', v_at), llmq.describe_value(v_call),
        '{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}'
      );
    elsif jsonb_typeof(v_call -> 'id') is distinct from 'string' or v_call -> 'id' = '""' then
      perform llmq.raise_invalid(
        format('%s.id must be a non-empty string', v_at), llmq.describe_value(v_call -> 'id'),
        'The tool message that answers the call repeats it in tool_call_id.'
      );
    elsif v_call -> 'type' is distinct from '"function"' then
      perform llmq.raise_invalid(format('%s.type must be ''function''', v_at), llmq.describe_value(v_call -> 'type'), 'No other type is known.');
    elsif jsonb_typeof(v_call -> 'function') is distinct from 'object' then
      perform llmq.raise_invalid(
        format('%s.function must be an object', v_at), llmq.describe_value(v_call -> 'function'),
        '{"name": "get_weather", "arguments": "{\"city\": \"Porto\"}"}'
      );
    elsif jsonb_typeof(v_call #> '{function,name}') is distinct from 'string' or v_call #> '{function,name}' = '""' then
      perform llmq.raise_invalid(
        format('%s.function.name must be a non-empty string', v_at), llmq.describe_value(v_call #> '{function,name}'),
        'It is the name of the tool that was called.'
      );
    elsif jsonb_typeof(v_call #> '{function,arguments}') is distinct from 'string' then
      perform llmq.raise_invalid(
        format('%s.function.arguments must be JSON text', v_at), llmq.describe_value(v_call #> '{function,arguments}'),
        'Send the arguments as a string: "{\"city\": \"Porto\"}".'
      );
    end if;
  end loop;
end
$$;
comment on function llmq.refuse_tool_calls(jsonb, text) is 'Internal: raises LQ001 for the first fault in an assistant''s tool_calls, if there is one.';
--! EndIncluded checks/refuse_tool_calls.sql
--! Included checks/refuse_message.sql
create function llmq.refuse_message(message jsonb, place text) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_role    text;
  v_content constant jsonb := message -> 'content';
  v_calls   boolean;
  v_part    jsonb;
  v_index   int := -1;
begin
  if jsonb_typeof(message) <> 'object' then
    perform llmq.raise_invalid(
      format('%s must be an object', place), llmq.describe_value(message), 'For example {"role": "user", "content": "Hello"}.'
    );
  end if;
  if jsonb_typeof(message -> 'role') = 'string' then
    v_role := message ->> 'role';
  end if;
  if v_role is null or v_role not in ('system', 'developer', 'user', 'assistant', 'tool') then
    perform llmq.raise_invalid(
      format('%s.role must be system, developer, user, assistant or tool', place), llmq.describe_value(message -> 'role'),
      'Roles are those of OpenAI''s chat format.'
    );
  end if;
  if v_role = 'assistant' then
    perform llmq.refuse_tool_calls(message -> 'tool_calls', place || '.tool_calls');
    v_calls := jsonb_typeof(message -> 'tool_calls') = 'array' and message -> 'tool_calls' <> '[]';
    if v_calls and (v_content is null or v_content in ('null', '[]')) then
      return;
    end if;
  elsif v_role = 'tool' and jsonb_typeof(message -> 'tool_call_id') is distinct from 'string' then
    perform llmq.raise_invalid(
      format('%s.tool_call_id must be a string', place), llmq.describe_value(message -> 'tool_call_id'),
      'A tool message names the call that it answers.'
    );
  end if;
  if jsonb_typeof(v_content) = 'string' then
    return;
  elsif v_content is null or jsonb_typeof(v_content) <> 'array' or v_content = '[]' then
    perform llmq.raise_invalid(
      format('%s.content must be a string or a non-empty array of parts', place), llmq.describe_value(v_content),
      'Only an assistant message with tool_calls may go without content.'
    );
  end if;
  for v_part in select e.part from jsonb_array_elements(v_content) as e (part) loop
    v_index := v_index + 1;
    perform llmq.refuse_content_part(v_part, format('%s.content[%s]', place, v_index));
  end loop;
end
$$;
comment on function llmq.refuse_message(jsonb, text) is 'Internal: raises LQ001 for the first fault in one chat message, if there is one.';
--! EndIncluded checks/refuse_message.sql
--! Included checks/refuse_messages.sql
create function llmq.refuse_messages(messages jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_message jsonb;
  v_index int := -1;
begin
  if messages is null or jsonb_typeof(messages) <> 'array' then
    perform llmq.raise_invalid(
      'messages must be an array', llmq.describe_value(messages), 'For example [{"role": "user", "content": "Hello"}].'
    );
  elsif jsonb_array_length(messages) not between 1 and 10000 then
    perform llmq.raise_invalid(
      case when messages = '[]' then 'messages must not be empty' else 'messages must have at most 10000 elements' end,
      llmq.describe_value(messages), 'Send at least one message, for example [{"role": "user", "content": "Hello"}].'
    );
  end if;
  for v_message in select e.message from jsonb_array_elements(messages) as e (message) loop
    v_index := v_index + 1;
    perform llmq.refuse_message(v_message, format('messages[%s]', v_index));
  end loop;
  perform llmq.check_tool_call_ids(messages);
end
$$;
comment on function llmq.refuse_messages(jsonb) is
  'Internal: raises LQ001 for the first fault in messages, if there is one. The exact but slow half of llmq.check_messages.';
--! EndIncluded checks/refuse_messages.sql
--! Included checks/check_messages.sql
-- The usual conversation is recognised by one jsonpath, which costs about as much as a comparison of text;
-- one with tools or parts by a second, longer one. Only what neither takes is looked at message by message,
-- by llmq.refuse_messages(), to say what is wrong and where.
--
-- In the paths `!exists(@ ? (...))` reads "is not known to be": strict mode makes a missing key unknown, not
-- false, and unknown counts as a fault. `(exists(@.key)) is unknown` reads "has no such key".
-- A function that is inlined, so that those who have it in an expression of their own save a call.
create function llmq.is_plain_conversation(messages jsonb) returns boolean
language sql immutable parallel safe
as $$
  select messages @? $path$strict $ ? (
    @.size() > 0 && @.size() <= 10000 && !exists(@[*] ? (!exists(@ ? (
      @.content.type() == "string"
      && (@.role == "user" || @.role == "system" || @.role == "developer"
        || @.role == "assistant" && (exists(@.tool_calls)) is unknown)
    ))))
  )$path$
$$;
comment on function llmq.is_plain_conversation(jsonb) is 'Internal: whether messages are a good conversation of plain text, without tools. A no says nothing.';

create function llmq.check_messages(messages jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if llmq.is_plain_conversation(messages) then
    return;
  end if;
  if messages @? $path$strict $ ? (
    @.size() > 0 && @.size() <= 10000 && !exists(@[*] ? (!exists(@ ? (
      (@.role == "user" || @.role == "system" || @.role == "developer" || @.role == "assistant"
        || @.role == "tool" && @.tool_call_id.type() == "string")
      && (@.content.type() == "string"
        || @.content.size() > 0 && !exists(@.content[*] ? (!exists(@ ? (
          @.type == "text" && @.text.type() == "string"
          || @.type == "image_url" && @.image_url.url.type() == "string" && @.image_url.url != ""
          || @.type == "file" && (@.file.file_data.type() == "string" || @.file.file_id.type() == "string")
          || @.type == "input_audio" && @.input_audio.type() == "object"
        ))))
        || @.role == "assistant" && @.tool_calls.size() > 0
          && (@.content == null || (exists(@.content)) is unknown || @.content.size() == 0))
      && (@.role != "assistant" || (exists(@.tool_calls)) is unknown || @.tool_calls == null
        || @.tool_calls.type() == "array" && !exists(@.tool_calls[*] ? (!exists(@ ? (
          @.type == "function" && @.id.type() == "string" && @.id != ""
          && @.function.name.type() == "string" && @.function.name != "" && @.function.arguments.type() == "string"
        )))))
    ))))
  )$path$ then
    perform llmq.check_tool_call_ids(messages);
    return;
  end if;
  perform llmq.refuse_messages(messages);
end
$$;
comment on function llmq.check_messages(jsonb) is
$$Internal: messages must be a conversation in OpenAI's chat format, else LQ001 with the place of the first fault.
1 to 10,000 objects with role system, developer, user, assistant or tool, and content: text or parts (text, image_url, file, input_audio). An assistant's tool_calls are {id, type: function, function: {name, arguments}}; a tool message names an earlier call in tool_call_id. Other keys are let through.$$;
--! EndIncluded checks/check_messages.sql
--! Included checks/refuse_tools.sql
create function llmq.refuse_tools(tools jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tool     jsonb;
  v_function jsonb;
  v_name     text;
  v_seen     jsonb := '{}';
  v_at       text;
  v_index    int := -1;
  v_example constant text := '{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}';
begin
  if jsonb_typeof(tools) <> 'array' then
    perform llmq.raise_invalid('tools must be null or an array', llmq.describe_value(tools), format('For example [%s].', v_example));
  elsif jsonb_array_length(tools) > 128 then
    perform llmq.raise_invalid('tools must have at most 128 elements', llmq.describe_value(tools), 'Offer fewer tools at a time.');
  end if;
  for v_tool in select t.tool from jsonb_array_elements(tools) as t (tool) loop
    v_index := v_index + 1;
    v_at := format('tools[%s]', v_index);
    if jsonb_typeof(v_tool) <> 'object' then
      perform llmq.raise_invalid(format('%s must be an object', v_at), llmq.describe_value(v_tool), v_example);
    elsif v_tool -> 'type' is distinct from '"function"' then
      perform llmq.raise_invalid(format('%s.type must be ''function''', v_at), llmq.describe_value(v_tool -> 'type'), v_example);
    end if;
    v_function := v_tool -> 'function';
    if jsonb_typeof(v_function) is distinct from 'object' then
      perform llmq.raise_invalid(format('%s.function must be an object', v_at), llmq.describe_value(v_function), v_example);
    end if;
    v_name := case when jsonb_typeof(v_function -> 'name') = 'string' then v_function ->> 'name' end;
    if v_name is null or v_name !~ '^[a-zA-Z0-9_.-]{1,64}$' then
      perform llmq.raise_invalid(
        format('%s.function.name must be 1 to 64 letters, digits, dots, dashes or underscores', v_at),
        llmq.describe_value(v_function -> 'name'), 'Providers refuse other names.'
      );
    elsif v_seen ? v_name then
      perform llmq.raise_invalid(
        format('%s.function.name must differ from the other names', v_at),
        format('tools[%s] is called %s too.', v_seen ->> v_name, quote_literal(v_name)), 'A model calls a tool by its name.'
      );
    elsif jsonb_typeof(v_function -> 'description') <> 'string' then
      perform llmq.raise_invalid(
        format('%s.function.description must be a string', v_at), llmq.describe_value(v_function -> 'description'), 'Or leave it out.'
      );
    elsif jsonb_typeof(v_function -> 'parameters') <> 'object' then
      perform llmq.raise_invalid(
        format('%s.function.parameters must be an object', v_at), llmq.describe_value(v_function -> 'parameters'),
        'A JSON Schema, {"type": "object", "properties": ...}, or leave it out.'
      );
    end if;
    v_seen := v_seen || jsonb_build_object(v_name, v_index);
  end loop;
end
$$;
comment on function llmq.refuse_tools(jsonb) is
  'Internal: raises LQ001 for the first fault in tools, if there is one. The exact but slow half of llmq.check_tools.';
--! EndIncluded checks/refuse_tools.sql
--! Included checks/check_tools.sql
create function llmq.check_tools(tools jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if tools is null or tools = 'null' then
    return;
  end if;
  -- How to read the path: see llmq.check_messages().
  if tools @? $path$strict $ ? (
    @.size() <= 128 && !exists(@[*] ? (!exists(@ ? (
      @.type == "function" && @.function.name like_regex "^[a-zA-Z0-9_.-]{1,64}$"
      && ((exists(@.function.description)) is unknown || @.function.description.type() == "string")
      && ((exists(@.function.parameters)) is unknown || @.function.parameters.type() == "object")
    ))))
  )$path$ then
    if jsonb_array_length(tools) < 2 or jsonb_array_length(tools) = (
      select count(distinct t.tool #>> '{function,name}' collate "C") from jsonb_array_elements(tools) as t (tool)
    ) then
      return;
    end if;
  end if;
  perform llmq.refuse_tools(tools);
end
$$;
comment on function llmq.check_tools(jsonb) is
$$Internal: tools must be null or at most 128 definitions in OpenAI's format, else LQ001 with the place of the first fault.
{type: function, function: {name, description, parameters}}: names of 1 to 64 letters, digits, dots, dashes and underscores, each once; parameters is a JSON Schema object.$$;
--! EndIncluded checks/check_tools.sql
--! Included checks/refuse_settings.sql
create function llmq.refuse_settings(settings jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key   text;
  v_value jsonb;
  v_fault text;
  v_known constant text[] := array[
    'temperature', 'max_tokens', 'top_p', 'top_k', 'seed', 'stop', 'presence_penalty', 'frequency_penalty', 'tool_choice',
    'reasoning_effort', 'provider_options', 'validation_retries', 'timeout', 'share', 'cache_seconds', 'refuse_above'
  ];
begin
  if settings is null then
    return;
  elsif jsonb_typeof(settings) <> 'object' then
    perform llmq.raise_invalid('settings must be an object', llmq.describe_value(settings), 'Leave it out or send {}.');
  end if;
  for v_key, v_value in select e.key, e.value from jsonb_each(settings) as e loop
    if v_key <> all (v_known) then
      perform llmq.raise_invalid(
        format('settings has an unknown key %s', llmq.quote_glimpse(v_key)), llmq.describe_value(v_value),
        format('Known keys: %s. What only one provider knows goes into provider_options.', array_to_string(v_known, ', '))
      );
    end if;
    v_fault := case v_key
      when 'temperature' then llmq.number_fault(v_value, 0, 2, false)
      when 'max_tokens' then llmq.number_fault(v_value, 1, 2147483647, true)
      when 'top_p' then llmq.number_fault(v_value, 0, 1, false)
      when 'top_k' then llmq.number_fault(v_value, 1, 2147483647, true)
      when 'seed' then llmq.number_fault(v_value, -9007199254740991, 9007199254740991, true)
      when 'presence_penalty' then llmq.number_fault(v_value, -2, 2, false)
      when 'frequency_penalty' then llmq.number_fault(v_value, -2, 2, false)
      when 'validation_retries' then llmq.number_fault(v_value, 0, 10, true)
      when 'share' then case when jsonb_typeof(v_value) <> 'boolean' then 'must be true or false' end
      when 'cache_seconds' then llmq.number_fault(v_value, 1, 31536000, true)
      when 'refuse_above' then llmq.number_fault(v_value, 1, 1000000, true)
      when 'timeout' then
        case when v_value = '0' then 'must be more than 0 seconds' else llmq.number_fault(v_value, 0, 86400, false) end
      when 'reasoning_effort' then
        case when v_value not in ('"none"', '"minimal"', '"low"', '"medium"', '"high"', '"xhigh"')
          then 'must be none, minimal, low, medium, high or xhigh' end
      when 'stop' then
        case when jsonb_typeof(v_value) <> 'string' and not (v_value @? 'strict $ ? (@.size() <= 16 && !exists(@[*] ? (@.type() != "string")))') is true
          then 'must be a string or an array of up to 16 strings' end
      when 'tool_choice' then
        case when v_value not in ('"auto"', '"none"', '"required"')
          and not (v_value @? 'strict $ ? (@.type == "function" && @.function.name.type() == "string" && @.function.name != "")') is true
          then 'must be auto, none, required or {"type": "function", "function": {"name": ...}}' end
      when 'provider_options' then
        case when not (v_value @? 'strict $ ? (@.type() == "object" && !exists(@.* ? (@.type() != "object")))') is true
          then 'must be an object with one object per provider' end
    end;
    if v_fault is not null then
      perform llmq.raise_invalid(
        format('settings.%s %s', v_key, v_fault), llmq.describe_value(v_value), 'Leave the key out for the default.'
      );
    end if;
  end loop;
end
$$;
comment on function llmq.refuse_settings(jsonb) is
  'Internal: raises LQ001 for the first fault in settings, if there is one. The exact but slow half of llmq.check_settings.';
--! EndIncluded checks/refuse_settings.sql
--! Included checks/check_settings.sql
-- The path goes over the keys that are there: the first alternative that fits ends the search for a key.
-- An integer is a number without a fraction: 100.0 is one, as in JSON Schema.
create function llmq.check_settings(settings jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if settings is null or settings @? $path$strict $ ? (
    @.type() == "object" && !exists(@.keyvalue() ? (!exists(@ ? (
      @.key == "temperature" && @.value >= 0 && @.value <= 2
      || @.key == "max_tokens" && @.value >= 1 && @.value <= 2147483647 && @.value == @.value.floor()
      || @.key == "top_p" && @.value >= 0 && @.value <= 1
      || @.key == "seed" && @.value >= -9007199254740991 && @.value <= 9007199254740991 && @.value == @.value.floor()
      || @.key == "stop" && (@.value.type() == "string"
        || @.value.size() <= 16 && !exists(@.value[*] ? (@.type() != "string")))
      || @.key == "tool_choice" && (@.value == "auto" || @.value == "none" || @.value == "required"
        || @.value.type == "function" && @.value.function.name.type() == "string" && @.value.function.name != "")
      || @.key == "reasoning_effort" && @.value like_regex "^(none|minimal|low|medium|high|xhigh)$"
      || @.key == "timeout" && @.value > 0 && @.value <= 86400
      || @.key == "validation_retries" && @.value >= 0 && @.value <= 10 && @.value == @.value.floor()
      || @.key == "share" && @.value.type() == "boolean"
      || @.key == "cache_seconds" && @.value >= 1 && @.value <= 31536000 && @.value == @.value.floor()
      || @.key == "refuse_above" && @.value >= 1 && @.value <= 1000000 && @.value == @.value.floor()
      || @.key == "top_k" && @.value >= 1 && @.value <= 2147483647 && @.value == @.value.floor()
      || (@.key == "presence_penalty" || @.key == "frequency_penalty") && @.value >= -2 && @.value <= 2
      || @.key == "provider_options" && @.value.type() == "object" && !exists(@.value.* ? (@.type() != "object"))
    ))))
  )$path$ then
    return;
  end if;
  perform llmq.refuse_settings(settings);
end
$$;
comment on function llmq.check_settings(jsonb) is
$$Internal: settings must be an object (null counts as {}) of known keys, each of the right type and in range, else LQ001.
temperature 0 to 2, max_tokens, top_p 0 to 1, top_k, seed, stop (text or up to 16), presence_penalty and frequency_penalty -2 to 2, tool_choice, reasoning_effort, provider_options (an object per provider), validation_retries 0 to 10, timeout (seconds, up to 86400), share, cache_seconds (1 to a year), refuse_above (1 to 1,000,000).$$;
--! EndIncluded checks/check_settings.sql
--! Included checks/refuse_one_schema.sql
create function llmq.refuse_one_schema(schema jsonb, place text) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_keyword text;
  v_value   jsonb;
  v_types   constant text[] := array['object', 'string', 'array', 'number', 'integer', 'boolean', 'null'];
begin
  if jsonb_typeof(schema) = 'boolean' then
    return;
  elsif jsonb_typeof(schema) <> 'object' then
    perform llmq.raise_invalid(format('%s must be an object, true or false', place), llmq.describe_value(schema), 'A schema goes here.');
  end if;
  v_value := schema -> 'type';
  if v_value is not null and (v_value not in ('"object"', '"string"', '"array"', '"number"', '"integer"', '"boolean"', '"null"')) and (
    jsonb_typeof(v_value) <> 'array' or v_value = '[]'
    or exists (
      select from jsonb_array_elements(v_value) as t (name)
      where jsonb_typeof(t.name) <> 'string' or t.name #>> '{}' <> all (v_types)
    )
  ) then
    perform llmq.raise_invalid(
      format('%s.type must be a type''s name or an array of them', place), llmq.describe_value(v_value),
      format('Types: %s.', array_to_string(v_types, ', '))
    );
  end if;
  v_value := schema -> '$ref';
  if v_value is not null and (jsonb_typeof(v_value) <> 'string' or schema ->> '$ref' not like '#%') then
    perform llmq.raise_invalid(
      format('%s.$ref must be text that starts with #', place), llmq.describe_value(v_value),
      'Other documents are not fetched: put the schema into $defs and refer to "#/$defs/name".'
    );
  end if;
  v_value := schema -> 'required';
  if v_value is not null and (v_value @? 'strict $ ? (@.type() == "array" && !exists(@[*] ? (@.type() != "string")))') is not true then
    perform llmq.raise_invalid(
      format('%s.required must be an array of strings', place), llmq.describe_value(v_value),
      'It lists the required properties, beside properties.'
    );
  end if;
  foreach v_keyword in array array['properties', '$defs'] loop
    if jsonb_typeof(schema -> v_keyword) <> 'object' then
      perform llmq.raise_invalid(
        format('%s.%s must be an object', place, v_keyword), llmq.describe_value(schema -> v_keyword), 'It maps names to schemas.'
      );
    end if;
  end loop;
  foreach v_keyword in array array['anyOf', 'oneOf', 'allOf'] loop
    if jsonb_typeof(schema -> v_keyword) <> 'array' or schema -> v_keyword = '[]' then
      perform llmq.raise_invalid(
        format('%s.%s must be a non-empty array', place, v_keyword), llmq.describe_value(schema -> v_keyword), 'It lists schemas.'
      );
    end if;
  end loop;
end
$$;
comment on function llmq.refuse_one_schema(jsonb, text) is 'Internal: raises LQ001 for a fault in one schema, not in those inside it.';
--! EndIncluded checks/refuse_one_schema.sql
--! Included checks/refuse_response_schema.sql
-- What has no schema where one belongs is a fault in the common keywords only; in the others (not, if, prefixItems
-- ...) only what is an object is looked into, since the path of llmq.check_response_schema() does not know them.
create function llmq.refuse_response_schema(response_schema jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_place  text;
  v_schema jsonb;
begin
  if response_schema is null or response_schema = 'null' then
    return;
  elsif jsonb_typeof(response_schema) not in ('object', 'boolean') then
    perform llmq.raise_invalid(
      'response_schema must be an object, true or false', llmq.describe_value(response_schema),
      'Send JSON Schema: {"type": "object", "properties": ...}.'
    );
  elsif octet_length(response_schema::text) > 262144 then
    perform llmq.raise_invalid(
      'response_schema must be at most 256 kB', format('It has %s bytes.', octet_length(response_schema::text)),
      'Move what repeats into $defs.'
    );
  elsif response_schema @? '$.**{65}' then
    perform llmq.raise_invalid(
      'response_schema must be at most 64 levels deep', 'It is deeper.', 'Move inner parts into $defs and refer to them with $ref.'
    );
  end if;
  for v_place, v_schema in
    with recursive schema (place, value) as (
      select 'response_schema', response_schema
      union all
      select left(s.place || inner_schema.step, 500), inner_schema.value
      from schema as s
      cross join lateral (
        select '.' || k.keyword, s.value -> k.keyword
        from unnest(array['items', 'additionalProperties', 'not', 'if', 'then', 'else', 'contains', 'propertyNames']) as k (keyword)
        where jsonb_typeof(s.value -> k.keyword) = 'object' or (k.keyword = 'items' and jsonb_typeof(s.value -> 'items') <> 'array')
        union all
        select format('.%s[%s]', k.keyword, e.place - 1), e.value
        from unnest(array['anyOf', 'oneOf', 'allOf', 'items', 'prefixItems']) as k (keyword)
        cross join lateral jsonb_array_elements(
          case when jsonb_typeof(s.value -> k.keyword) = 'array' then s.value -> k.keyword else '[]' end
        ) with ordinality as e (value, place)
        where k.keyword <> 'prefixItems' or jsonb_typeof(e.value) = 'object'
        union all
        select format('.%s.%s', k.keyword, e.key), e.value
        from unnest(array['properties', '$defs', 'definitions', 'patternProperties']) as k (keyword)
        cross join lateral jsonb_each(
          case when jsonb_typeof(s.value -> k.keyword) = 'object' then s.value -> k.keyword else '{}' end
        ) as e (key, value)
        where k.keyword in ('properties', '$defs') or jsonb_typeof(e.value) = 'object'
      ) as inner_schema (step, value)
      where jsonb_typeof(s.value) = 'object'
    )
    select s.place, s.value from schema as s
  loop
    perform llmq.refuse_one_schema(v_schema, v_place);
  end loop;
end
$$;
comment on function llmq.refuse_response_schema(jsonb) is
  'Internal: raises LQ001 for the first fault in response_schema, if there is one. The exact but slow half of llmq.check_response_schema.';
--! EndIncluded checks/refuse_response_schema.sql
--! Included checks/check_response_schema.sql
-- The path visits every object of the document, also those that are no schemas (a property called "type", the
-- values of an enum), and sees too many faults rather than too few: what it suspects is looked at again, schema
-- by schema, by llmq.refuse_response_schema(). How to read it: see llmq.check_messages().
--
-- The size is that of the JSON text. An uncompressed jsonb is about as long, so the text is written out only for
-- a compressed or a big one.
create function llmq.check_response_schema(response_schema jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if response_schema is null then
    return;
  end if;
  if (pg_column_size(response_schema) <= 100000 and pg_column_compression(response_schema) is null)
    or octet_length(response_schema::text) <= 262144
  then
    if (jsonb_typeof(response_schema) = 'object' and not response_schema @? 'strict $.**{65}' and not response_schema @? $path$strict $.** ? (
      @.type() == "object" && (
        exists(@.type) && !exists(@.type ? (
          @ == "object" || @ == "string" || @ == "array" || @ == "number" || @ == "integer" || @ == "boolean" || @ == "null"
          || @.size() > 0 && !exists(@[*] ? (!exists(@ ? (
            @ == "object" || @ == "string" || @ == "array" || @ == "number" || @ == "integer" || @ == "boolean" || @ == "null"
          ))))
        ))
        || exists(@.properties) && !exists(@.properties ? (
          @.type() == "object" && !exists(@.* ? (@.type() != "object" && @.type() != "boolean"))
        ))
        || exists(@.required) && !exists(@.required ? (@.type() == "array" && !exists(@[*] ? (@.type() != "string"))))
        || exists(@."$ref") && !exists(@."$ref" ? (@ starts with "#"))
        || exists(@.items) && !exists(@.items ? (@.type() == "object" || @.type() == "boolean"))
        || exists(@.anyOf) && !exists(@.anyOf ? (@.size() > 0 && !exists(@[*] ? (@.type() != "object" && @.type() != "boolean"))))
        || exists(@.oneOf) && !exists(@.oneOf ? (@.size() > 0 && !exists(@[*] ? (@.type() != "object" && @.type() != "boolean"))))
        || exists(@.allOf) && !exists(@.allOf ? (@.size() > 0 && !exists(@[*] ? (@.type() != "object" && @.type() != "boolean"))))
        || exists(@."$defs") && !exists(@."$defs" ? (@.type() == "object" && !exists(@.* ? (@.type() != "object" && @.type() != "boolean"))))
      )
    )$path$) or response_schema in ('true', 'false', 'null') then
      return;
    end if;
  end if;
  perform llmq.refuse_response_schema(response_schema);
end
$$;
comment on function llmq.check_response_schema(jsonb) is
$$Internal: response_schema must be null, true, false or a JSON Schema object, else LQ001 with the place of the first fault.
At most 256 kB and 64 levels deep; $ref only within the schema ("#..."); type, properties, required, items, anyOf, oneOf, allOf and $defs in their right shape, in every schema reached through them. Everything else in it is for the validator.$$;
--! EndIncluded checks/check_response_schema.sql

-- Costs
--! Included internal/price_at.sql
-- The latest date counts first, so that a new price without tiers ends the old tiers too.
--
-- Language sql and no settings: it becomes part of the query around it, one probe of prices_by_model for each
-- call, 3 microseconds. 'manual' is the last source in the order of the alphabet.
create function llmq.price_at(model text, at timestamptz, input_tokens int) returns setof llmq.prices
language sql stable parallel safe rows 1
as $$
  select p.*
  from llmq.prices as p
  where p.model = price_at.model and p.valid_from <= price_at.at
    and (price_at.at at time zone 'UTC')::time >= p.utc_from and (price_at.at at time zone 'UTC')::time < p.utc_until
    and p.min_input_tokens <= coalesce(price_at.input_tokens, 0)
  order by p.source desc, p.valid_from desc, p.utc_from desc, p.utc_until, p.min_input_tokens desc
  limit 1
$$;
comment on function llmq.price_at(text, timestamptz, int) is 'Internal: the row of llmq.prices that holds for a call; none when there is no price.';
--! EndIncluded internal/price_at.sql
--! Included internal/cost_of.sql
-- Cached tokens are part of the input and reasoning tokens part of the output. A provider that reports more of
-- the part than of the whole is not allowed to make the rest negative.
--
-- Language sql and one expression: it becomes part of the query around it.
create function llmq.cost_of(
  price llmq.prices, input_tokens int, output_tokens int, cached_input_tokens int, reasoning_tokens int
) returns numeric
language sql immutable parallel safe
as $$
  select trim_scale(0.000001 * (
    price.input_per_million * greatest(coalesce(input_tokens, 0) - coalesce(cached_input_tokens, 0), 0)
    + coalesce(price.cached_input_per_million, price.input_per_million) * coalesce(cached_input_tokens, 0)
    + price.output_per_million * greatest(coalesce(output_tokens, 0) - coalesce(reasoning_tokens, 0), 0)
    + coalesce(price.reasoning_per_million, price.output_per_million) * coalesce(reasoning_tokens, 0)
  ))
$$;
comment on function llmq.cost_of(llmq.prices, int, int, int, int) is 'Internal: US dollars for these tokens at this price; null without a price.';
--! EndIncluded internal/cost_of.sql
--! Included internal/call_cost.sql
-- PL/pgSQL, so that the plan of the look-up is kept for the session: before 18 a function in SQL is planned
-- anew by every statement that calls it.
create function llmq.call_cost(
  lane                int,
  at                  timestamptz,
  input_tokens        int,
  output_tokens       int,
  cached_input_tokens int = 0,
  reasoning_tokens    int = 0
) returns numeric
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
  return (
    select llmq.cost_of(p, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens)
    from llmq.models as m
    cross join lateral llmq.price_at(m.name, at, input_tokens) as p
    where m.lane = call_cost.lane
  );
end
$$;
comment on function llmq.call_cost(int, timestamptz, int, int, int, int) is
$$What a call costs, in US dollars; null when the model has no price at that time.
lane: llmq.models.lane.
at: when the call starts.
input_tokens: all of them, cached ones included.
output_tokens: all of them, reasoning included.
cached_input_tokens: the part of input_tokens that the provider had cached.
reasoning_tokens: the part of output_tokens spent on reasoning.$$;
--! EndIncluded internal/call_cost.sql

-- Submitting
--! Included internal/pgmq_ready.sql
-- The copy is on when the setting is and the extension is (still) there: dropping pgmq never stops a submit.
create function llmq.pgmq_ready() returns boolean
language sql stable
as $$
  select coalesce((select (s.value)::boolean from llmq.settings as s where s.name = 'pgmq'), false)
     and to_regclass('pgmq.q_llm_requests') is not null
     -- Dropping the extension leaves the queues' tables behind, but not this one.
     and to_regclass('pgmq.meta') is not null
$$;
comment on function llmq.pgmq_ready() is 'Whether requests are copied to the pgmq queue llm_requests (see llmq.enable_pgmq()).';
--! EndIncluded internal/pgmq_ready.sql
--! Included internal/route_of.sql
create function llmq.route_of(complexity text, task_type text) returns setof llmq.routes
language sql stable
as $$
  select r.*
  from llmq.routes as r
  where r.task_type in (route_of.task_type, '*')
    and r.complexity in (route_of.complexity, '*')
  order by r.task_type = '*', r.complexity = '*'
  limit 1
$$;
comment on function llmq.route_of(text, text) is 'The most specific route for a complexity and task type; no row when none fits.';
--! EndIncluded internal/route_of.sql
--! Included internal/share_key.sql
-- All that the model would see, and nothing that only llmq sees.
create function llmq.share_key(messages jsonb, response_schema jsonb, tools jsonb, settings jsonb) returns uuid
language sql immutable parallel safe
as $$
  select md5(jsonb_build_array(
    messages, response_schema, tools, settings - '{share,cache_seconds,refuse_above,timeout}'::text[]
  )::text)::uuid
$$;
comment on function llmq.share_key(jsonb, jsonb, jsonb, jsonb) is
  'Internal: equal for requests that ask a model the same. Whether they ask the same model is compared apart.';
--! EndIncluded internal/share_key.sql
--! Included internal/refuse_full_queue.sql
-- Back-pressure, for those who ask for it: better no for an answer now than an answer next week. Counts to the
-- limit and no further.
create function llmq.refuse_full_queue(lane int, refuse_above int) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_depth bigint;
begin
  select count(*) into v_depth
  from (
    (select from llmq.queue as q where q.lane = refuse_full_queue.lane and q.tag is not null limit refuse_above)
    union all
    (
      select from llmq.queue as q
      where q.tag is null and q.hold is null and q.run_at <= clock_timestamp()
        and q.lane = refuse_full_queue.lane
      limit refuse_above
    )
  ) as w;
  if v_depth >= refuse_above then
    raise exception using errcode = 'LQ010',
      message = format('%s or more requests are waiting for model %s', refuse_above, (select quote_literal(m.name) from llmq.models as m where m.lane = refuse_full_queue.lane)),
      detail = 'The limit is settings.refuse_above of this submit or the setting refuse_above, whichever is lower.',
      hint = 'Submit again later, or without the limit. Nothing was stored.';
  end if;
end
$$;
comment on function llmq.refuse_full_queue(int, int) is 'Internal: raises LQ010 when so many requests are due and waiting in a lane.';
--! EndIncluded internal/refuse_full_queue.sql
--! Included internal/check_reply_to.sql
create function llmq.check_reply_to(reply_to text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  perform llmq.check_name(reply_to, 'reply_to');
  if to_regclass('pgmq.meta') is null then
    raise exception using errcode = 'LQ006', message = 'reply_to needs the extension pgmq',
      hint = 'create extension pgmq; select llmq.enable_pgmq(); or wait for the answer with llmq.wait_for_llm_request().';
  end if;
  if to_regclass(format('pgmq.%I', 'q_' || lower(reply_to))) is null then
    raise exception using errcode = 'LQ006', message = format('pgmq queue %s does not exist', quote_literal(reply_to)),
      hint = format('select pgmq.create(%L);', reply_to);
  end if;
end
$$;
comment on function llmq.check_reply_to(text) is 'Internal: refuses a reply_to that is no pgmq queue (LQ006).';
--! EndIncluded internal/check_reply_to.sql
--! Included internal/check_request.sql
-- Everything that can be wrong with a request in itself is found here, before a row is written.
--
-- One expression recognises a good request without options; what it does not take is looked at condition by
-- condition. For speed: PL/pgSQL prepares every expression anew in every transaction, some 2 microseconds each,
-- and a submit is usually a transaction of its own. It is inlined where it is asked: a call costs 10 more.
create function llmq.is_usual_request(
  agent_id text, task_type text, messages jsonb, complexity text, context jsonb, response_schema jsonb,
  tools jsonb, settings jsonb, priority int, run_at timestamptz, deadline timestamptz, max_attempts int,
  idempotency_key text, reply_to text
) returns boolean
language sql immutable parallel safe
as $$
  select (
    length(agent_id) <= 200 and agent_id ~ '^ *[^\u0001-\u0020\u007f-\u009f][^\u0001-\u001f\u007f-\u009f]*$'
    and length(task_type) <= 200 and task_type ~ '^ *[^\u0001-\u0020\u007f-\u009f][^\u0001-\u001f\u007f-\u009f]*$'
    and complexity in ('simple', 'medium', 'complex')
    and priority between -100 and 100
    and num_nulls(max_attempts, deadline, run_at, idempotency_key, reply_to, response_schema, tools) = 7
    and context = '{}' and settings = '{}'
    and llmq.is_plain_conversation(messages)
  ) is true
$$;
comment on function llmq.is_usual_request is 'Internal: whether a request is good and has no options but its complexity and priority. A no says nothing.';

create function llmq.check_request(
  agent_id text, task_type text, messages jsonb, complexity text, context jsonb, response_schema jsonb,
  tools jsonb, settings jsonb, priority int, run_at timestamptz, deadline timestamptz, max_attempts int,
  idempotency_key text, reply_to text
) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if llmq.is_usual_request(
    agent_id, task_type, messages, complexity, context, response_schema, tools, settings, priority, run_at,
    deadline, max_attempts, idempotency_key, reply_to
  ) then
    return true;
  end if;

  perform llmq.check_name(agent_id, 'agent_id');
  perform llmq.check_name(task_type, 'task_type');
  if complexity is null or complexity not in ('simple', 'medium', 'complex') then
    raise exception using errcode = 'LQ001', message = 'complexity must be simple, medium or complex',
      detail = format('It is %s.', coalesce(quote_literal(complexity), 'null')),
      hint = 'Leave it out for medium.';
  end if;
  perform llmq.check_messages(messages);
  perform llmq.check_context(context);
  perform llmq.check_response_schema(response_schema);
  perform llmq.check_tools(tools);
  perform llmq.check_settings(settings);
  if priority is null or priority not between -100 and 100 then
    raise exception using errcode = 'LQ001', message = 'priority must be between -100 and 100',
      detail = format('It is %s.', coalesce(priority::text, 'null')), hint = 'Higher runs first; 0 is the default.';
  end if;
  if max_attempts not between 1 and 1000 then
    raise exception using errcode = 'LQ001', message = 'max_attempts must be between 1 and 1000',
      detail = format('It is %s.', max_attempts), hint = 'Leave it out for the setting max_attempts.';
  end if;
  if deadline <= clock_timestamp() then
    raise exception using errcode = 'LQ001', message = 'deadline is in the past',
      detail = format('It is %s, now is %s.', deadline, clock_timestamp()), hint = 'Give a later deadline or none.';
  end if;
  if deadline <= run_at then
    raise exception using errcode = 'LQ001', message = 'deadline must be later than run_at',
      detail = format('run_at is %s, deadline is %s.', run_at, deadline), hint = 'The request could never run.';
  end if;
  if idempotency_key is not null then perform llmq.check_name(idempotency_key, 'idempotency_key'); end if;
  if reply_to is not null then perform llmq.check_reply_to(reply_to); end if;
  return true;
end
$$;
comment on function llmq.check_request is 'Internal: checks one request; true, or LQ001 (invalid), LQ006 (reply_to).';
--! EndIncluded internal/check_request.sql
--! Included internal/request_facts.sql
-- Where a request comes in, and how far its lane is. Plain SQL over one row, so that the planner puts it into
-- the statement that asks. No row: no entrance of that name.
create function llmq.entrance(kind text, name text, priority int) returns table (
  first_model text, lane int, max_attempts int, virtual_time double precision, pgmq_payload text,
  refuse_above int, own_routes text[], agents boolean
)
language sql stable
as $$
  select
    e.model, e.lane, e.max_attempts,
    (select l.vt from llmq.lane_marks as l where l.lane = e.lane and l.priority = entrance.priority),
    case when to_regclass('pgmq.q_llm_requests') is not null and to_regclass('pgmq.meta') is not null then e.pgmq_payload end,
    e.refuse_above, e.own_routes, e.agents
  from llmq.entrances as e
  where e.kind = entrance.kind and e.name = entrance.name
$$;
comment on function llmq.entrance(text, text, int) is
  'Internal: first model and lane of a new request, default of max_attempts, virtual time of its lane and priority, what of it is copied to pgmq (null: nothing), the depth above which it is refused, and where to look further: task types with routes of their own, and whether agents have weights or owners.';

-- All that the database knows about a new request. llmq.submit_llm_request() has the same lines.
create function llmq.request_facts(
  agent_id text, task_type text, complexity text, context jsonb, model text, priority int,
  out first_model text, out lane int, out weight double precision, out owner name, out max_attempts int,
  out pgmq_payload text, out refuse_above int
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_model    text := case when context ->> 'executor' = 'external' then 'external' else model end;
  v_entrance record;
begin
  select e.* into v_entrance
  from llmq.entrance(case when v_model is null then complexity else 'model' end, coalesce(v_model, '*'), priority) as e;
  if v_model is null and task_type = any (v_entrance.own_routes) then
    select e.* into v_entrance from llmq.entrance(complexity, task_type, priority) as e;
  end if;
  first_model := coalesce(v_entrance.first_model, model);
  lane := v_entrance.lane;
  max_attempts := v_entrance.max_attempts;
  pgmq_payload := v_entrance.pgmq_payload;
  refuse_above := v_entrance.refuse_above;
  select a.weight, a.owner into weight, owner from llmq.agents as a where a.agent_id = request_facts.agent_id;
  weight := coalesce(weight, 1);
end
$$;
comment on function llmq.request_facts(text, text, text, jsonb, text, int) is
  'Internal: first model and lane of a new request (null: refuse it), weight and owner of its agent, default of max_attempts, what of it is copied to pgmq (null: nothing), and the depth above which it is refused.';

create function llmq.refuse_route(
  agent_id text, task_type text, complexity text, first_model text, lane int
) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if not llmq.may_use_agent(agent_id) then
    raise exception using errcode = 'LQ005', message = format('agent %s belongs to another role', quote_literal(agent_id)),
      detail = format('The caller is %s.', llmq.caller()), hint = 'See the column owner of llmq.agents.';
  end if;
  if first_model is null then
    raise exception using errcode = 'LQ003', message = 'no route for this request',
      detail = format('complexity is %s, task_type is %s.', complexity, task_type),
      hint = 'Add one: select llmq.configure_route(''*'', array[''my-model'']). The orchestrator makes them for the API keys it finds when there are none.';
  end if;
  if lane is null then
    raise exception using errcode = 'LQ003', message = format('model %s is not configured', quote_literal(first_model)),
      detail = format('Configured: %s.', (select coalesce(string_agg(m.name, ', ' order by m.name), 'none') from llmq.models as m)),
      hint = 'Add it with llmq.configure_model().';
  end if;
end
$$;
comment on function llmq.refuse_route(text, text, text, text, int) is 'Internal: raises LQ003 (no route or model) or LQ005 (not your agent), if so.';
--! EndIncluded internal/request_facts.sql
--! Included internal/new_request.sql
-- A checked and routed request as a value, for those who handle many or have one already: bulk submits and
-- retries.
create function llmq.new_request(
  agent_id text, task_type text, messages jsonb, complexity text, context jsonb, response_schema jsonb,
  tools jsonb, settings jsonb, model text, priority int, run_at timestamptz, deadline timestamptz,
  max_attempts int, idempotency_key text, reply_to text, parent_id uuid
) returns llmq.new_request
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ok    boolean := llmq.check_request(
    agent_id, task_type, messages, complexity, context, response_schema, tools, settings, priority, run_at,
    deadline, max_attempts, idempotency_key, reply_to
  );
  v_facts record;
begin
  select f.* into v_facts from llmq.request_facts(agent_id, task_type, complexity, context, model, priority) as f;
  if v_facts.lane is null or v_facts.owner is not null then
    perform llmq.refuse_route(agent_id, task_type, complexity, v_facts.first_model, v_facts.lane);
  end if;
  return row(
    null, agent_id, task_type, complexity, messages, coalesce(context, '{}'), nullif(response_schema, 'null'),
    nullif(nullif(tools, '[]'), 'null'), coalesce(settings, '{}'), model, priority, run_at, deadline,
    coalesce(max_attempts, v_facts.max_attempts), idempotency_key, reply_to, parent_id, v_facts.lane,
    v_facts.weight, v_facts.pgmq_payload
  )::llmq.new_request;
end
$$;
comment on function llmq.new_request is 'Internal: checks and routes one request. Errors: those of llmq.check_request and llmq.refuse_route.';
--! EndIncluded internal/new_request.sql
--! Included internal/check_request_list.sql
create function llmq.check_request_list(requests jsonb) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_unknown text;
  v_known constant text[] := array[
    'agent_id', 'task_type', 'messages', 'complexity', 'context', 'response_schema', 'tools', 'settings', 'model',
    'priority', 'run_at', 'deadline', 'max_attempts', 'idempotency_key', 'reply_to', 'parent_id'
  ];
begin
  if requests is null or jsonb_typeof(requests) <> 'array' then
    raise exception using errcode = 'LQ001', message = 'requests must be an array of objects',
      detail = format('It is %s.', coalesce(jsonb_typeof(requests), 'null')), hint = 'select * from llmq.submit_llm_requests(''[{"agent_id": ...}]'');';
  end if;
  if jsonb_array_length(requests) > 10000 then
    raise exception using errcode = 'LQ001', message = 'too many requests in one call',
      detail = format('There are %s.', jsonb_array_length(requests)), hint = 'Send at most 10,000 at a time.';
  end if;
  if jsonb_path_exists(requests, 'strict $[*] ? (@.type() != "object")') then
    raise exception using errcode = 'LQ001', message = 'every element of requests must be an object';
  end if;
  select format('requests[%s] has an unknown key %s', r.place - 1, quote_literal(k.key)) into v_unknown
  from jsonb_array_elements(requests) with ordinality as r (request, place)
  cross join lateral jsonb_object_keys(r.request) as k (key)
  where k.key <> all (v_known)
  limit 1;
  if found then
    raise exception using errcode = 'LQ001', message = v_unknown, hint = 'Known keys: ' || array_to_string(v_known, ', ') || '.';
  end if;
end
$$;
comment on function llmq.check_request_list(jsonb) is 'Internal: the outer shape of a bulk submit (LQ001).';
--! EndIncluded internal/check_request_list.sql
--! Included internal/first_unreadable.sql
-- jsonb_to_recordset() reads the whole array at once and does not say which element it stumbled over.
create function llmq.first_unreadable(requests jsonb) returns int
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_item  jsonb;
  v_place bigint;
begin
  for v_item, v_place in select e.item, e.place from jsonb_array_elements(requests) with ordinality as e (item, place) loop
    begin
      perform r.*
      from jsonb_to_record(v_item) as r (
        agent_id text, task_type text, complexity text, model text, priority int, run_at timestamptz,
        deadline timestamptz, max_attempts int, idempotency_key text, reply_to text, parent_id uuid
      );
    exception when data_exception then
      return v_place - 1;
    end;
  end loop;
  return null;
end
$$;
comment on function llmq.first_unreadable(jsonb) is 'Internal: place, from 0, of the first request with a value of the wrong type; null when there is none.';
--! EndIncluded internal/first_unreadable.sql
--! Included internal/reserve_idempotency_key.sql
-- ON CONFLICT waits for a concurrent holder of the same key to commit or roll back, so the answer is final.
create function llmq.reserve_idempotency_key(agent_id text, key text, request_id uuid) returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_existing uuid;
begin
  loop
    insert into llmq.idempotency_keys as k (agent_id, key, request_id)
    values (reserve_idempotency_key.agent_id, reserve_idempotency_key.key, reserve_idempotency_key.request_id)
    on conflict do nothing;
    if found then
      return null;
    end if;
    select k.request_id into v_existing
    from llmq.idempotency_keys as k
    where k.agent_id = reserve_idempotency_key.agent_id and k.key = reserve_idempotency_key.key;
    if found then
      return v_existing;
    end if;
    -- Under REPEATABLE READ the other transaction's key exists but cannot be seen.
    if current_setting('transaction_isolation') <> 'read committed' then
      raise exception using errcode = '40001', message = 'a concurrent transaction submitted the same idempotency_key',
        hint = 'Retry the transaction.';
    end if;
  end loop;
end
$$;
comment on function llmq.reserve_idempotency_key(text, text, uuid) is 'Internal: null when the key is now this request''s, else the id of the request that has it.';
--! EndIncluded internal/reserve_idempotency_key.sql
--! Included internal/next_tag.sql
-- Fair tags. A group's tags follow the lane's virtual time, or the agent's own last tag where that is
-- later, in steps of 1/weight: an agent with 100,000 waiting rows delays nobody else's first.
--
-- Two submitters of one agent must not read the same "last tag", or ten connections would get ten shares.
-- So ranking needs the advisory lock of (lane, priority, agent); whoever does not get it leaves its rows
-- waiting, and the next claim ranks them (llmq.promote_waiting). The lock is taken before the probe, in a
-- statement of its own: the probe's snapshot must be younger than the lock.
create function llmq.next_tag(lane int, priority int, agent_id text) returns double precision
language plpgsql volatile
-- The probe's plan is made when the queue is empty, as a queue mostly is, and kept when it is not.
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
set search_path = pg_catalog, pg_temp
as $$
declare
  v_vt double precision;
begin
  -- No mark yet: promotion makes it. Making it here would let submitters wait for each other's commits.
  select m.vt into v_vt
  from llmq.lane_marks as m
  where m.lane = next_tag.lane and m.priority = next_tag.priority;
  if not found then
    return null;
  end if;
  if not pg_try_advisory_xact_lock(llmq.ranking_key(lane, priority, agent_id)) then
    return null;
  end if;
  return greatest(v_vt, (
    select q.tag
    from llmq.queue as q
    where llmq.ranking_key(q.lane, q.priority, q.agent_id) = llmq.ranking_key(next_tag.lane, next_tag.priority, next_tag.agent_id)
      and q.tag is not null and q.tag >= v_vt
    order by q.tag desc
    limit 1
  ));
end
$$;
comment on function llmq.next_tag(int, int, text) is 'Internal: the tag after which this agent''s next request is ranked; null when another transaction is ranking the same agent.';
--! EndIncluded internal/next_tag.sql
--! Included internal/unclaimed.sql
-- A pending request in the shape of one in flight, for those functions that take either: nobody holds it, and nothing
-- is reserved.
create function llmq.unclaimed(waiting llmq.queue) returns llmq.in_flight
language sql immutable
as $$
  select row(
    waiting.id, null, null, waiting.started_at, waiting.run_at, waiting.deadline, waiting.created_at, waiting.pgmq_msg_id,
    null, null, null, waiting.lane, waiting.calls, waiting.capacity_waits, waiting.priority, waiting.max_attempts,
    waiting.attempts, waiting.reasks, waiting.crashes, waiting.route_step, waiting.pinned, waiting.has_reply_to,
    waiting.agent_id, waiting.task_type, waiting.complexity, waiting.error_type, waiting.error_message
  )::llmq.in_flight
$$;
comment on function llmq.unclaimed(llmq.queue) is 'Internal: a pending request in the shape of one in flight; claim_id and worker_id are null.';
--! EndIncluded internal/unclaimed.sql
--! Included internal/lock_unfinished.sql
-- An unfinished request, locked wherever it is. While this waits for the lock of a claim or of an outcome, the row
-- moves: it is gone from the table that was asked and not yet seen in the other. Hence again, until it is found or
-- one look at both finds nothing.
create function llmq.lock_unfinished(request_id uuid) returns llmq.in_flight
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_waiting llmq.queue;
  v_held    llmq.in_flight;
begin
  loop
    select q.* into v_waiting from llmq.queue as q where q.id = request_id for update;
    if found then
      return llmq.unclaimed(v_waiting);
    end if;
    select h.* into v_held from llmq.in_flight as h where h.id = request_id for update;
    if found then
      return v_held;
    end if;
    if not exists (
      select from llmq.queue as q where q.id = request_id union all select from llmq.in_flight as h where h.id = request_id
    ) then
      return null;
    end if;
  end loop;
end
$$;
comment on function llmq.lock_unfinished(uuid) is 'Internal: a pending (claim_id null) or processing request, locked; null when it is finished or unknown.';
--! EndIncluded internal/lock_unfinished.sql
--! Included internal/put_back.sql
-- processing -> pending: rows as they shall wait. Whoever calls has locked them in llmq.in_flight.
create function llmq.put_back(held llmq.in_flight[], more_calls int = 0, due_at timestamptz = null) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
begin
  delete from llmq.in_flight as h where h.id = any (array(select b.id from unnest(held) as b));
  insert into llmq.queue (
    id, lane, priority, run_at, deadline, created_at, updated_at, started_at, pgmq_msg_id, max_attempts, calls, attempts,
    capacity_waits, reasks, crashes, route_step, pinned, has_reply_to, agent_id, task_type, complexity, error_type,
    error_message
  )
  select
    b.id, b.lane, b.priority, coalesce(due_at, b.run_at), b.deadline, b.created_at, clock_timestamp(), b.started_at, b.pgmq_msg_id,
    b.max_attempts, b.calls + more_calls, b.attempts, b.capacity_waits, b.reasks, b.crashes, b.route_step, b.pinned, b.has_reply_to,
    b.agent_id, b.task_type, b.complexity, b.error_type, b.error_message
  from unnest(held) as b;
end
$$;
comment on function llmq.put_back(llmq.in_flight[], int, timestamptz) is 'Internal: makes locked requests in flight pending again, as given, with so many more calls, due then (null: as given). What they reserved is settled by the caller.';
--! EndIncluded internal/put_back.sql
--! Included internal/copy_to_pgmq.sql
-- The copy to the pgmq queue llm_requests, in the submitting transaction. Rows are written into the queue's
-- table instead of through pgmq.send_batch(), which plans its statement anew at every call: 15 microseconds
-- against 65. Only the columns vt and message are named, which every version of pgmq has had; the table's
-- triggers fire as ever, and reading and archiving go through pgmq's own functions.
create function llmq.pgmq_reference(id uuid, agent_id text, task_type text, complexity text, external boolean) returns jsonb
language sql stable parallel safe
as $$
  -- All of it is text: jsonb_build_object() would look up the type of each.
  select jsonb_object(array['request_id', id::text, 'agent_id', agent_id, 'task_type', task_type, 'complexity', complexity])
    || case when external then '{"executor": "external"}'::jsonb else '{}' end
$$;
comment on function llmq.pgmq_reference(uuid, text, text, text, boolean) is
$$Internal: the message of one request. "executor": "external" marks those that wait for an external worker.$$;

create function llmq.pgmq_message(new llmq.new_request) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case when new.pgmq_payload = 'full' then
    -- Not jsonb_strip_nulls(): it would reach into the messages, where "content": null is part of a call.
    (
      select
        jsonb_object_agg(f.key, f.value)
        || llmq.pgmq_reference(new.id, new.agent_id, new.task_type, new.complexity, coalesce(new.context ->> 'executor' = 'external', false))
      from jsonb_each(to_jsonb(new) - '{id,lane,weight,pgmq_payload}'::text[]) as f
      where f.value <> 'null'
    )
  else
    llmq.pgmq_reference(new.id, new.agent_id, new.task_type, new.complexity, coalesce(new.context ->> 'executor' = 'external', false))
  end
$$;
comment on function llmq.pgmq_message(llmq.new_request) is 'Internal: the message of one request: a reference, or with the setting pgmq_payload = full the whole of it.';

create function llmq.copy_to_pgmq(new_requests llmq.new_request[]) returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ids bigint[];
begin
  if (new_requests[1]).pgmq_payload is null then
    return null;
  end if;
  with copied as (
    insert into pgmq.q_llm_requests (vt, message)
    -- The reference is inlined; a call of llmq.pgmq_message() is not, and costs 8 microseconds more.
    select clock_timestamp(), case
      when n.pgmq_payload = 'full' then llmq.pgmq_message((n.*)::llmq.new_request)
      else llmq.pgmq_reference(
        n.id, n.agent_id, n.task_type, n.complexity, coalesce(n.context ->> 'executor' = 'external', false)
      )
    end
    from unnest(new_requests) as n
    returning msg_id
  )
  select array_agg(c.msg_id order by c.msg_id) into v_ids from copied as c;
  return v_ids;
end
$$;
comment on function llmq.copy_to_pgmq(llmq.new_request[]) is 'Internal: one message per request into the pgmq queue llm_requests, in one statement; the message numbers in the same order, or null without pgmq.';
--! EndIncluded internal/copy_to_pgmq.sql
--! Included internal/note_twins.sql
-- Requests that may share a call or an answer, as they are queued. llmq.submit_llm_request() has the same lines for one.
create function llmq.note_twins(new_requests llmq.new_request[]) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  insert into llmq.twins (request_id, share_key, shares)
  select n.id, llmq.share_key(n.messages, n.response_schema, n.tools, n.settings), n.settings @> '{"share": true}'
  from unnest(new_requests) as n
  where n.settings ?| '{share,cache_seconds}'
$$;
comment on function llmq.note_twins(llmq.new_request[]) is 'Internal: a row of llmq.twins for each request with settings.share or cache_seconds.';
--! EndIncluded internal/note_twins.sql
--! Included internal/wake_orchestrators.sql
-- NOTIFY takes one cluster-wide lock at commit: at most one per statement, always the same payload (equal
-- ones collapse within a transaction), and none while every orchestrator is awake.
--
-- Called by whoever puts requests into llmq.queue. Not a trigger of that table: the condition of one is parsed
-- anew by every statement, which costs a submit 4 microseconds.
create function llmq.wake_orchestrators() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if pg_sequence_last_value('llmq.armed') = 2 then
    perform pg_notify('llmq_wake', '');
  end if;
end
$$;
comment on function llmq.wake_orchestrators() is 'Internal: wakes sleeping orchestrators, after new requests were queued (channel llmq_wake, empty payload).';
--! EndIncluded internal/wake_orchestrators.sql
--! Included internal/enqueue.sql
-- (nothing) -> pending. Stores checked requests, any number in one statement each: the prompts, the pgmq
-- copy, the queue rows. Ids are made here, in the order of the array.
--
-- The copy is made before the queue row, not by a trigger after it: the row then carries the message's
-- number from the start and the finishing transaction can archive it without a second version of the row.
create function llmq.enqueue(new_requests llmq.new_request[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now     timestamptz := clock_timestamp();
  v_msg_ids bigint[];
  v_tags    jsonb := '{}';
  v_groups  int;
  v_group   record;
begin
  insert into llmq.requests (
    id, messages, context, response_schema, tools, settings, model, idempotency_key, reply_to, parent_id
  )
  select
    n.id, n.messages, n.context, n.response_schema, n.tools, n.settings, n.model, n.idempotency_key, n.reply_to, n.parent_id
  from unnest(new_requests) as n;

  v_msg_ids := llmq.copy_to_pgmq(new_requests);

  -- The lock table is finite: a call with many agents leaves its rows to promotion.
  select count(*) into v_groups
  from (select distinct n.lane, n.priority, n.agent_id from unnest(new_requests) as n) as g;
  if v_groups <= 16 then
    for v_group in
      select distinct n.lane, n.priority, n.agent_id from unnest(new_requests) as n
      order by n.lane, n.priority, n.agent_id
    loop
      v_tags := v_tags || jsonb_build_object(
        format('%s/%s/%s', v_group.lane, v_group.priority, v_group.agent_id),
        llmq.next_tag(v_group.lane, v_group.priority, v_group.agent_id)
      );
    end loop;
  end if;
  insert into llmq.queue (
    id, lane, priority, tag, run_at, deadline, created_at, pgmq_msg_id, max_attempts, pinned, has_reply_to,
    agent_id, task_type, complexity
  )
  select
    n.id, n.lane, n.priority,
    case when n.run_at is null or n.run_at <= v_now then
      (v_tags ->> format('%s/%s/%s', n.lane, n.priority, n.agent_id))::double precision
      + row_number() over (partition by n.lane, n.priority, n.agent_id, coalesce(n.run_at <= v_now, true) order by n.ordinality) / n.weight
    end,
    greatest(n.run_at, v_now), n.deadline, now(), v_msg_ids[n.ordinality], n.max_attempts, n.model is not null or coalesce(n.context ->> 'executor' = 'external', false),
    n.reply_to is not null, n.agent_id, n.task_type, n.complexity
  from unnest(new_requests) with ordinality as n;
  perform llmq.note_twins(new_requests);
  perform llmq.wake_orchestrators();
end
$$;
comment on function llmq.enqueue(llmq.new_request[]) is 'Internal: stores checked requests as pending.';
--! EndIncluded internal/enqueue.sql
--! Included client/submit_llm_request.sql
-- (nothing) -> pending, in the caller's transaction. llmq.enqueue() does the same for many; most submits come
-- one by one, and without arrays and nested calls this path costs half of that one.
create function llmq.submit_llm_request(
  agent_id        text,
  task_type       text,
  messages        jsonb,
  complexity      text = 'medium',
  context         jsonb = '{}',
  response_schema jsonb = null,
  tools           jsonb = null,
  settings        jsonb = '{}',
  model           text = null,
  priority        int = 0,
  run_at          timestamptz = null,
  deadline        timestamptz = null,
  max_attempts    int = null,
  idempotency_key text = null,
  reply_to        text = null,
  parent_id       uuid = null
) returns uuid
language plpgsql volatile security definer
-- The probe's plan is made when the queue is empty, as a queue mostly is, and kept when it is not: sorting the
-- entries of all agents looks cheap then.
set enable_seqscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_id           uuid;
  v_now          timestamptz;
  v_special      boolean;
  v_asked        text;
  v_first_model  text;
  v_lane         int;
  v_ranking_key  bigint;
  v_max_attempts int;
  v_virtual_time double precision;
  v_pgmq_payload text;
  v_refuse_above int;
  v_own_routes   text[];
  v_agents       boolean;
  v_weight       double precision;
  v_owner        name;
  v_ranked       boolean;
  v_existing     uuid;
  v_msg_id       bigint;
begin
  -- Few expressions: PL/pgSQL prepares each anew in every transaction, 1 to 3 microseconds.
  if not llmq.is_usual_request(
    agent_id, task_type, messages, complexity, context, response_schema, tools, settings, priority, run_at,
    deadline, max_attempts, idempotency_key, reply_to
  ) then
    perform llmq.check_request(
      agent_id, task_type, messages, complexity, context, response_schema, tools, settings, priority, run_at,
      deadline, max_attempts, idempotency_key, reply_to
    );
    v_special := true;
    context := coalesce(context, '{}');
    response_schema := nullif(response_schema, 'null');
    tools := nullif(nullif(tools, '[]'), 'null');
    settings := coalesce(settings, '{}');
    v_asked := case when context ->> 'executor' = 'external' then 'external' end;
  end if;
  select
    llmq.uuid_v7(), clock_timestamp(), e.first_model, e.lane, llmq.ranking_key(e.lane, priority, agent_id),
    e.max_attempts, e.virtual_time, e.pgmq_payload, e.refuse_above, e.own_routes, e.agents
  into
    v_id, v_now, v_first_model, v_lane, v_ranking_key, v_max_attempts, v_virtual_time, v_pgmq_payload, v_refuse_above,
    v_own_routes, v_agents
  from llmq.entrance(
    case when coalesce(v_asked, model) is null then complexity else 'model' end, coalesce(v_asked, model, '*'), priority
  ) as e;
  if v_special or v_lane is null or v_agents or num_nonnulls(v_own_routes, v_refuse_above) > 0 then
    if coalesce(v_asked, model) is null and task_type = any (v_own_routes) then
      select e.first_model, e.lane, llmq.ranking_key(e.lane, priority, agent_id), e.virtual_time
      into v_first_model, v_lane, v_ranking_key, v_virtual_time
      from llmq.entrance(complexity, task_type, priority) as e;
    end if;
    if v_agents then
      select a.weight, a.owner into v_weight, v_owner from llmq.agents as a where a.agent_id = submit_llm_request.agent_id;
    end if;
    if v_lane is null or v_owner is not null then
      perform llmq.refuse_route(agent_id, task_type, complexity, coalesce(v_first_model, model), v_lane);
    end if;
    if idempotency_key is not null then
      v_existing := llmq.reserve_idempotency_key(agent_id, idempotency_key, v_id);
      if v_existing is not null then
        return v_existing;
      end if;
    end if;
    if num_nonnulls(v_refuse_above, settings -> 'refuse_above') > 0 then
      perform llmq.refuse_full_queue(v_lane, least(v_refuse_above, (settings ->> 'refuse_above')::int));
    end if;
    if settings ?| '{share,cache_seconds}' then
      insert into llmq.twins (request_id, share_key, shares)
      values (v_id, llmq.share_key(messages, response_schema, tools, settings), settings @> '{"share": true}');
    end if;
  end if;

  insert into llmq.requests (
    id, messages, context, response_schema, tools, settings, model, idempotency_key, reply_to, parent_id
  ) values (
    v_id, messages, context, response_schema, tools, settings, model, idempotency_key, reply_to, parent_id
  );
  if v_pgmq_payload = 'reference' then
    insert into pgmq.q_llm_requests (vt, message)
    values (v_now, llmq.pgmq_reference(v_id, agent_id, task_type, complexity, v_asked is not null))
    returning msg_id into v_msg_id;
  elsif v_pgmq_payload = 'full' then
    insert into pgmq.q_llm_requests (vt, message)
    values (v_now, llmq.pgmq_message(row(
      v_id, agent_id, task_type, complexity, messages, context, response_schema, tools, settings, model, priority,
      run_at, deadline, coalesce(max_attempts, v_max_attempts), idempotency_key, reply_to, parent_id, v_lane,
      v_weight, v_pgmq_payload
    )::llmq.new_request))
    returning msg_id into v_msg_id;
  end if;
  -- The rank, by the rule of llmq.next_tag(): the lock comes in a statement before the probe.
  v_ranked := (run_at is null or run_at <= v_now) and v_virtual_time is not null
    and pg_try_advisory_xact_lock(v_ranking_key);
  insert into llmq.queue (
    id, lane, priority, tag, run_at, deadline, created_at, updated_at, pgmq_msg_id, max_attempts, pinned, has_reply_to,
    agent_id, task_type, complexity
  ) values (
    v_id, v_lane, priority,
    case when v_ranked then
      greatest(v_virtual_time, (
        select q.tag
        from llmq.queue as q
        where llmq.ranking_key(q.lane, q.priority, q.agent_id) = v_ranking_key
          and q.tag is not null and q.tag >= v_virtual_time
        order by q.tag desc
        limit 1
      )) + 1 / coalesce(v_weight, 1)
    end,
    greatest(run_at, v_now), deadline, now(), v_now, v_msg_id, coalesce(max_attempts, v_max_attempts),
    coalesce(v_asked, model) is not null, reply_to is not null, agent_id, task_type, complexity
  );
  -- As llmq.wake_orchestrators(), without the call.
  if pg_sequence_last_value('llmq.armed') = 2 then
    perform pg_notify('llmq_wake', '');
  end if;
  return v_id;
end
$$;
comment on function llmq.submit_llm_request is
$$Queues one LLM request in the caller's transaction and returns its id. The request exists exactly when that transaction commits.
agent_id: on whose behalf, 1 to 200 characters. Results are announced per agent (llmq.result_channel), and agents share a model fairly.
task_type: what kind of work, 1 to 200 characters; routes may depend on it.
messages: the conversation in OpenAI's chat format, 1 to 10,000 messages: [{"role": "user", "content": "..."}]. Roles system, developer, user, assistant, tool; parts text, image_url, file, input_audio.
complexity: simple, medium or complex; with task_type it chooses the route (llmq.routes).
context: an object of the caller's own, never sent to the model. {"executor": "external"}: somebody else's worker answers, through pgmq.
response_schema: JSON Schema (draft 2020-12, or 07 when $schema says so) that the answer must satisfy; at most 256 kB, $ref only inside itself.
tools: tools the model may call, at most 128: [{"type": "function", "function": {"name", "description", "parameters"}}].
settings: an object with any of temperature (0 to 2), max_tokens, top_p, top_k, seed, stop, presence_penalty, frequency_penalty, tool_choice, reasoning_effort (none to xhigh), validation_retries (0 to 10), timeout (seconds for one call), provider_options ({"openai": {...}}). For llmq alone: share (true: an identical request in flight may answer this one too), cache_seconds (an identical request answered within so many seconds may), refuse_above (LQ010 when so many requests wait for its model).
model: asks this row of llmq.models and no other; null: routed, with fall-back along the route.
priority: -100 to 100, higher first.
run_at: not before this; null: at once.
deadline: fails with deadline_exceeded when not finished by then, queued or running.
max_attempts: failures after which it fails, 1 to 1000; null: the setting max_attempts.
idempotency_key: the same key of the same agent returns the first request's id and stores nothing, until that request's retention ends.
reply_to: an existing pgmq queue that gets {"request_id", "agent_id", "task_type", "status", "response", "parsed_response", "validation_errors", "error_type", "error_message", "model", "finished_at"} in the transaction that finishes the request.
parent_id: a request this one belongs to; kept as given, not checked.
Errors: LQ001 invalid input, LQ003 no route or unknown model, LQ005 not your agent, LQ006 reply_to is no pgmq queue, LQ010 too many requests are waiting. Nothing is stored on an error.
Example: select llmq.submit_llm_request(agent_id => 'support', task_type => 'summary', messages => '[{"role": "user", "content": "Hello"}]');$$;
--! EndIncluded client/submit_llm_request.sql
--! Included client/submit_llm_requests.sql
-- (nothing) -> pending, for many: each table is written by one statement. All or none.
--
-- What the database knows about a request (llmq.request_facts) is asked once for those that are alike: the
-- look-up costs a third of the call. Kept for 64 kinds at most, for looking in a long list would cost more.
create function llmq.submit_llm_requests(requests jsonb) returns setof uuid
language plpgsql volatile security definer
set plan_cache_mode = force_generic_plan
set search_path = pg_catalog, pg_temp
as $$
declare
  v_request      record;
  v_new          llmq.new_request;
  v_news         llmq.new_request[] := '{}';
  v_special      boolean := false;
  v_refuse_above int;
  v_place        int;
  v_ids          uuid[] := '{}';
  v_ok           boolean;
  v_kind         text;
  v_found        record;
  v_facts        jsonb;
  v_known        jsonb := '{}';
  v_kinds        int := 0;
  v_index        int := 0;
  v_state        text;
  v_message      text;
  v_detail       text;
  v_hint         text;
begin
  perform llmq.check_request_list(requests);
  begin
    for v_request in
      select r.*
      from rows from (jsonb_to_recordset(requests) as (
        agent_id text, task_type text, messages jsonb, complexity text, context jsonb, response_schema jsonb,
        tools jsonb, settings jsonb, model text, priority int, run_at timestamptz, deadline timestamptz,
        max_attempts int, idempotency_key text, reply_to text, parent_id uuid
      )) as r
    loop
      v_request.complexity := coalesce(v_request.complexity, 'medium');
      v_request.context := coalesce(v_request.context, '{}');
      v_request.response_schema := nullif(v_request.response_schema, 'null');
      v_request.tools := nullif(nullif(v_request.tools, 'null'), '[]');
      v_request.settings := coalesce(v_request.settings, '{}');
      v_request.priority := coalesce(v_request.priority, 0);
      v_ok := llmq.check_request(
        v_request.agent_id, v_request.task_type, v_request.messages, v_request.complexity, v_request.context,
        v_request.response_schema, v_request.tools, v_request.settings, v_request.priority, v_request.run_at,
        v_request.deadline, v_request.max_attempts, v_request.idempotency_key, v_request.reply_to
      );
      -- Checked names have no control characters; the model, which may, comes last.
      v_kind := concat_ws(
        E'\x1f', v_request.agent_id, v_request.task_type, v_request.complexity, v_request.priority,
        coalesce(v_request.context ->> 'executor' = 'external', false), v_request.model
      );
      v_facts := v_known -> v_kind;
      if v_facts is null then
        select f.* into v_found
        from llmq.request_facts(
          v_request.agent_id, v_request.task_type, v_request.complexity, v_request.context, v_request.model,
          v_request.priority
        ) as f;
        if v_found.lane is null or v_found.owner is not null then
          perform llmq.refuse_route(
            v_request.agent_id, v_request.task_type, v_request.complexity, v_found.first_model, v_found.lane
          );
        end if;
        if v_kinds = 64 then
          v_known := '{}';
          v_kinds := 0;
        end if;
        v_facts := to_jsonb(v_found);
        v_known := v_known || jsonb_build_object(v_kind, v_facts);
        v_kinds := v_kinds + 1;
      end if;
      v_new := row(
        llmq.uuid_v7(), v_request.agent_id, v_request.task_type, v_request.complexity, v_request.messages,
        v_request.context, v_request.response_schema, v_request.tools, v_request.settings, v_request.model,
        v_request.priority, v_request.run_at, v_request.deadline,
        coalesce(v_request.max_attempts, (v_facts ->> 'max_attempts')::int), v_request.idempotency_key,
        v_request.reply_to, v_request.parent_id, (v_facts ->> 'lane')::int,
        (v_facts ->> 'weight')::double precision, v_facts ->> 'pgmq_payload'
      )::llmq.new_request;
      v_ids := v_ids || v_new.id;
      v_news := v_news || v_new;
      v_refuse_above := (v_facts ->> 'refuse_above')::int;
      v_special := v_special or num_nonnulls(v_new.idempotency_key, v_refuse_above, v_new.settings -> 'refuse_above') > 0;
      v_index := v_index + 1;
    end loop;
    if v_special then
      -- In the order of the keys: two calls with the same ones wait for each other, and never both.
      for v_place in
        select p.place from generate_subscripts(v_news, 1) as p (place)
        order by (v_news[p.place]).agent_id, (v_news[p.place]).idempotency_key, p.place
      loop
        v_index := v_place - 1;
        v_new := v_news[v_place];
        if v_new.idempotency_key is not null then
          v_ids[v_place] := coalesce(llmq.reserve_idempotency_key(v_new.agent_id, v_new.idempotency_key, v_new.id), v_new.id);
          continue when v_ids[v_place] <> v_new.id;
        end if;
        if num_nonnulls(v_refuse_above, v_new.settings -> 'refuse_above') > 0 then
          perform llmq.refuse_full_queue(v_new.lane, least(v_refuse_above, (v_new.settings ->> 'refuse_above')::int));
        end if;
      end loop;
      v_news := array(
        select v_news[p.place] from generate_subscripts(v_news, 1) as p (place)
        where (v_news[p.place]).id = v_ids[p.place]
        order by p.place
      );
    end if;
  exception when others then
    get stacked diagnostics v_state = returned_sqlstate, v_message = message_text, v_detail = pg_exception_detail,
      v_hint = pg_exception_hint;
    -- A value of the wrong type (a date that is none) is the caller's input too.
    if v_state like '22%' then
      v_index := coalesce(llmq.first_unreadable(requests), v_index);
    end if;
    raise exception using errcode = case when v_state like '22%' then 'LQ001' else v_state end,
      message = format('requests[%s]: %s', v_index, v_message), detail = v_detail,
      hint = coalesce(nullif(v_hint, ''), 'Nothing was stored.');
  end;
  if v_news <> '{}' then
    perform llmq.enqueue(v_news);
  end if;
  return query select u.id from unnest(v_ids) with ordinality as u (id, place) order by u.place;
end
$$;
comment on function llmq.submit_llm_requests(jsonb) is
$$Queues many requests in one call and returns their ids in the order of the array. All or none.
requests: array of at most 10,000 objects whose keys are the parameters of llmq.submit_llm_request; a key left out has that parameter's default, an unknown key is refused.
Errors: those of llmq.submit_llm_request, with the place in front of the message: requests[17]: messages[0]....
Example: select * from llmq.submit_llm_requests('[{"agent_id": "support", "task_type": "summary", "messages": [{"role": "user", "content": "Hello"}]}]');$$;
--! EndIncluded client/submit_llm_requests.sql

-- Reading and waiting
--! Included internal/raise_not_found.sql
create function llmq.raise_not_found(request_id uuid) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception using errcode = 'LQ002',
    message = format('request %s does not exist', coalesce(request_id::text, 'null')),
    hint = 'It may have been removed by the retention, not be committed yet, or belong to another role.';
end
$$;
comment on function llmq.raise_not_found(uuid) is 'Internal: raises LQ002.';
--! EndIncluded internal/raise_not_found.sql
--! Included client/get_llm_request.sql
create function llmq.get_llm_request(request_id uuid) returns llmq.llm_requests
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_row llmq.llm_requests;
begin
  select v.* into v_row from llmq.all_llm_requests as v where v.id = request_id;
  if not found or not llmq.may_use_agent(v_row.agent_id) then
    perform llmq.raise_not_found(request_id);
  end if;
  return v_row;
end
$$;
comment on function llmq.get_llm_request(uuid) is
$$One request with its answer, as a row of the view llmq.llm_requests.
request_id: what the submit returned.
Errors: LQ002 unknown, removed by the retention, or another role's agent's.
Example: select status, response, parsed_response, error_message from llmq.get_llm_request('01890a5d-ac96-774b-bcce-b302099a8057');$$;
--! EndIncluded client/get_llm_request.sql
--! Included client/status_of.sql
create function llmq.status_of(request_id uuid) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_status text;
  v_agent  text;
begin
  select v.status, v.agent_id into v_status, v_agent from llmq.all_llm_requests as v where v.id = request_id;
  if not found or not llmq.may_use_agent(v_agent) then
    perform llmq.raise_not_found(request_id);
  end if;
  return v_status;
end
$$;
comment on function llmq.status_of(uuid) is
$$Status of one request: pending, processing, completed, failed or cancelled.
request_id: what the submit returned.
Errors: LQ002 unknown or not yours.$$;
--! EndIncluded client/status_of.sql
--! Included client/wait_for_llm_request.sql
-- A procedure, because waiting must not hold a snapshot: an open one keeps dead rows of the whole database
-- from being removed. Each look is a transaction of its own, so that the oldest snapshot of a waiter is that of
-- its last pause, 50 ms at most. (None at all cannot be had in PL/pgSQL: every expression, and so every way of
-- pausing, takes one.)
create procedure llmq.wait_for_llm_request(request_id uuid, timeout interval, inout status text = null)
language plpgsql
as $$
declare
  v_until timestamptz := clock_timestamp() + timeout;
  v_pause double precision := 0.002;
begin
  if timeout is null then
    raise exception using errcode = 'LQ001', message = 'timeout must not be null', hint = 'For example interval ''30 seconds''.';
  end if;
  loop
    status := llmq.status_of(request_id);
    exit when status in ('completed', 'failed', 'cancelled');
    if clock_timestamp() >= v_until then
      raise exception using errcode = 'LQ008', message = format('request %s is not finished after %s', request_id, timeout),
        detail = format('It is %s.', status), hint = 'It goes on running. Wait again, or see llmq.explain_llm_request().';
    end if;
    v_pause := least(v_pause * 1.5, 0.05, 0.001 + greatest(extract(epoch from v_until - clock_timestamp()), 0));
    commit;
    perform pg_catalog.pg_sleep(v_pause);
  end loop;
end
$$;
comment on procedure llmq.wait_for_llm_request(uuid, interval, text) is
$$Waits until a request is finished and gives its status. Call it outside of a transaction: it ends its transaction between two looks, so that it never holds a snapshot for longer than 50 ms.
request_id: what the submit returned, after its commit.
timeout: how long at most.
status: leave it out; the result's only column: completed, failed or cancelled.
Errors: LQ001 timeout is null, LQ002 unknown, LQ008 not finished in time (it goes on running), 2D000 called inside a transaction block or a function.
Example: call llmq.wait_for_llm_request('01890a5d-ac96-774b-bcce-b302099a8057', '30 s');$$;
--! EndIncluded client/wait_for_llm_request.sql
--! Included client/result_channel.sql
create function llmq.result_channel(agent_id text) returns text
language sql immutable strict parallel safe
as $$
  select case
    when octet_length(agent_id) <= 50 then 'llmq_result:' || agent_id
    else 'llmq_result:' || md5(agent_id)
  end
$$;
comment on function llmq.result_channel(text) is
$$The notification channel that tells of an agent's finished requests: llmq_result: and the agent_id, or its md5 when it is longer than 50 bytes. The payload is one or more request ids, separated by commas. A notification is a hint: look at the requests after LISTEN, and after every reconnect.
agent_id: the agent of the submit.
Example: LISTEN "llmq_result:support";$$;
--! EndIncluded client/result_channel.sql
--! Included triggers/insert_llm_request.sql
-- ORMs insert into the view. The row becomes one submit; status and times are not theirs to set.
create function llmq.insert_llm_request() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if new.status is distinct from 'pending' and new.status is not null then
    raise exception using errcode = 'LQ001', message = 'a new request can only be pending',
      detail = format('status is %s.', quote_literal(new.status)), hint = 'Leave status out.';
  end if;
  if new.id is not null then
    raise exception using errcode = 'LQ001', message = 'id is given by llmq',
      hint = 'Leave id out and use INSERT ... RETURNING id, or give an idempotency_key to find the request again.';
  end if;
  new.id := llmq.submit_llm_request(
    agent_id => new.agent_id, task_type => new.task_type, messages => new.messages,
    complexity => coalesce(new.complexity, 'medium'), context => coalesce(new.context, '{}'),
    response_schema => new.response_schema, tools => new.tools, settings => coalesce(new.settings, '{}'),
    model => new.model, priority => coalesce(new.priority, 0::smallint), run_at => new.run_at,
    deadline => new.deadline, max_attempts => new.max_attempts, idempotency_key => new.idempotency_key,
    reply_to => new.reply_to, parent_id => new.parent_id
  );
  select v.* into new from llmq.get_llm_request(new.id) as v;
  return new;
end
$$;
comment on function llmq.insert_llm_request() is 'Trigger: INSERT into llmq.llm_requests submits a request; RETURNING gives the stored row.';

create trigger insert_llm_request
instead of insert on llmq.llm_requests
for each row execute function llmq.insert_llm_request();
--! EndIncluded triggers/insert_llm_request.sql
--! Included triggers/refuse_llm_request_change.sql
-- An ORM that saves a changed row gets a way to go on, instead of Postgres's advice to write a trigger.
create function llmq.refuse_llm_request_change() returns trigger
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception using errcode = 'LQ007',
    message = format('request %s cannot be %s', old.id, case tg_op when 'UPDATE' then 'updated' else 'deleted' end),
    detail = format('It is %s. Rows of llmq.llm_requests change through functions alone.', old.status),
    hint = case tg_op
      when 'UPDATE' then 'llmq.cancel_llm_request() ends it, llmq.retry_llm_request() runs it again, llmq.mark_completed() and llmq.mark_failed() finish it for a worker. To ask something else, submit a new request.'
      else 'llmq.cancel_llm_request() ends it; llmq.cleanup_llm_requests() removes what is older than the retention.'
    end;
end
$$;
comment on function llmq.refuse_llm_request_change() is 'Trigger: UPDATE and DELETE of llmq.llm_requests are refused (LQ007), with the function to call instead.';

create trigger refuse_change
instead of update or delete on llmq.llm_requests
for each row execute function llmq.refuse_llm_request_change();
--! EndIncluded triggers/refuse_llm_request_change.sql

-- What is limited, what is used, and why a request waits
--! Included views/lane_meters.sql
-- A call counts at two meters: its model's and its provider's (the key's). Both limits hold.
create view llmq.lane_meters as
select
  m.lane, m.lane as meter, 'model'::text as kind, m.name, m.requests_per_minute, m.input_tokens_per_minute,
  m.output_tokens_per_minute, m.tokens_per_minute, least(m.max_concurrency, s.admit) as max_concurrency,
  array[m.lane] as lanes
from llmq.models as m
left join llmq.model_state as s on s.lane = m.lane
where num_nonnulls(
  m.requests_per_minute, m.input_tokens_per_minute, m.output_tokens_per_minute, m.tokens_per_minute,
  m.max_concurrency, s.admit
) > 0
union all
select
  m.lane, p.meter, 'provider', p.name, p.requests_per_minute, p.input_tokens_per_minute,
  p.output_tokens_per_minute, p.tokens_per_minute, p.max_concurrency,
  array(select o.lane from llmq.models as o where o.provider = p.name)
from llmq.models as m
join llmq.providers as p on p.name = m.provider
where num_nonnulls(
  p.requests_per_minute, p.input_tokens_per_minute, p.output_tokens_per_minute, p.tokens_per_minute,
  p.max_concurrency
) > 0;
comment on view llmq.lane_meters is 'Internal: the limits that calls of a lane count against; no row for a lane without limits. max_concurrency includes what a recovering model admits.';
--! EndIncluded views/lane_meters.sql
--! Included internal/meter_use.sql
-- What a meter has used: in the last minute, and now. The window is a second longer than the provider's: two
-- calls that were claimed a minute apart may arrive less than a minute apart.
create function llmq.meter_use(meter int, lanes int[], at timestamptz)
returns table (
  requests bigint, recent_requests bigint, input_tokens bigint, output_tokens bigint, in_flight bigint,
  oldest_start timestamptz
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_from timestamptz;
begin
  select
    coalesce(sum(u.requests), 0), coalesce(sum(u.requests) filter (where u.at > meter_use.at - interval '6.1 seconds'), 0),
    coalesce(sum(u.input_tokens), 0), coalesce(sum(u.output_tokens), 0)
  into requests, recent_requests, input_tokens, output_tokens
  from llmq.usage as u
  where u.meter = meter_use.meter and u.at > meter_use.at - interval '61 seconds';

  select n.oldest_start into v_from
  from llmq.usage as n
  where n.meter = meter_use.meter and n.oldest_start is not null
  order by n.at desc
  limit 1;
  select count(*), min(f.started_at) into in_flight, oldest_start
  from unnest(lanes) as l (lane)
  cross join lateral (
    select h.started_at
    from llmq.in_flight as h
    where h.lane = l.lane and h.started_at >= coalesce(v_from, '-infinity')
    offset 0
  ) as f;
  return next;
end
$$;
comment on function llmq.meter_use(int, int[], timestamptz) is
$$Internal: calls and tokens of the last 61 seconds at one meter, calls of the last 6.1 seconds, and calls in flight in its lanes.$$;
--! EndIncluded internal/meter_use.sql
--! Included internal/estimate_input_tokens.sql
-- A token is three bytes of text or more, in every language; pictures, sounds and files count as 1,500 tokens
-- each, since their size says nothing. What a model really makes of it is learned (llmq.token_estimates).
create function llmq.estimate_input_tokens(messages jsonb, tools jsonb, response_schema jsonb) returns int
language sql immutable parallel safe
as $$
  select greatest(1, least(2000000000, case
    when messages @? '$[*].content[*] ? (@.type != "text")' then
      (
        select coalesce(sum(case
          when jsonb_typeof(c.content) is distinct from 'array' then octet_length(m.message::text) / 3
          else (
            select coalesce(sum(case when p.part ->> 'type' = 'text' then octet_length(p.part ->> 'text') / 3 else 1500 end), 0)
            from jsonb_array_elements(c.content) as p (part)
          )
        end), 0)
        from jsonb_array_elements(messages) as m (message)
        cross join lateral (select m.message -> 'content' as content) as c
      )
    else octet_length(messages::text) / 3
  end + coalesce(octet_length(tools::text), 0) / 3 + coalesce(octet_length(response_schema::text), 0) / 3))::int
$$;
comment on function llmq.estimate_input_tokens(jsonb, jsonb, jsonb) is 'Internal: tokens of a prompt by its size, before the model''s own factor.';
--! EndIncluded internal/estimate_input_tokens.sql
--! Included internal/token_habits.sql
create function llmq.token_habits(lane int, out input_factor double precision, out usual_output int)
language sql stable
as $$
  select coalesce(e.input_factor, 1), coalesce(ceil(e.output_p90), m.max_output_tokens, 1000)::int
  from (select 1) as one
  left join llmq.models as m on m.lane = token_habits.lane
  left join llmq.token_estimates as e on e.lane = token_habits.lane
$$;
comment on function llmq.token_habits(int) is 'Internal: how a model turns prompts into tokens, and how long its answers are.';
--! EndIncluded internal/token_habits.sql
--! Included internal/expected_tokens.sql
-- What a call will take from the limits, on the safe side: five percent above what prompts of this size took, and an
-- answer as long as max_tokens allows or, without it, as nine of ten are (llmq.token_habits, read once for a whole
-- claim). Plain SQL, so that it becomes part of the query around it.
create function llmq.expected_tokens(request_id uuid, input_factor double precision, usual_output int)
returns table (input_tokens int, output_tokens int)
language sql stable
as $$
  select
    least(ceil(1.05 * expected_tokens.input_factor * llmq.estimate_input_tokens(r.messages, r.tools, r.response_schema)), 2000000000)::int,
    coalesce((r.settings ->> 'max_tokens')::numeric, expected_tokens.usual_output)::int
  from llmq.requests as r
  where r.id = request_id
$$;
comment on function llmq.expected_tokens(uuid, double precision, int) is 'Internal: tokens that a call for this request reserves.';
--! EndIncluded internal/expected_tokens.sql
--! Included internal/agent_spent.sql
create function llmq.agent_spent(agent_id text, period text) returns numeric
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_variable
declare
  v_from timestamptz := date_trunc(period, clock_timestamp() at time zone 'UTC') at time zone 'UTC';
  v_sum  record;
begin
  select u.at, case period when 'day' then u.usd else u.usd_of_month end as usd into v_sum
  from llmq.agent_usage as u
  where u.agent_id = agent_spent.agent_id and u.compact and u.at >= v_from
  order by u.at desc
  limit 1;
  return coalesce(v_sum.usd, 0) + coalesce((
    select sum(u.usd)
    from llmq.agent_usage as u
    where u.agent_id = agent_spent.agent_id and not u.compact and u.at >= greatest(v_from, v_sum.at)
  ), 0);
end
$$;
comment on function llmq.agent_spent(text, text) is
$$What an agent with a budget has spent and reserved in the current day or month (UTC), in US dollars.
period: day or month.$$;
--! EndIncluded internal/agent_spent.sql
--! Included internal/starts_per_minute.sql
-- How fast a model is served at present: what its limits count, or else what it finished in the last minute
-- (of the last ten thousand finished).
create function llmq.starts_per_minute(lane int) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select greatest(
    (select sum(u.requests) from llmq.usage as u where u.meter = starts_per_minute.lane and u.at > clock_timestamp() - interval '1 minute'),
    (
      select count(*)
      from (
        select f.model
        from llmq.results as f
        where f.finished_at > clock_timestamp() - interval '1 minute'
        order by f.finished_at desc
        limit 10000
      ) as f
      where f.model = (select m.name from llmq.models as m where m.lane = starts_per_minute.lane)
    )
  )
$$;
comment on function llmq.starts_per_minute(int) is 'Internal: requests of a lane that started or finished within the last minute.';
--! EndIncluded internal/starts_per_minute.sql
--! Included internal/why_waiting.sql
-- Why a pending request does not run, in one sentence: the first thing that stands in its way, in the order in
-- which the claim meets them.
create function llmq.why_waiting(waiting llmq.queue, ahead bigint) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_model record;
  v_agent record;
  v_meter record;
begin
  select mo.name, mo.paused, p.paused as provider_paused, p.name as provider, p.kind, s.cooling_until, s.reason, s.admit
  into v_model
  from llmq.models as mo
  join llmq.providers as p on p.name = mo.provider
  left join llmq.model_state as s on s.lane = mo.lane
  where mo.lane = waiting.lane;
  select a.* into v_agent from llmq.agents as a where a.agent_id = waiting.agent_id;

  if v_model.kind = 'external' then
    return 'It waits for an external worker: its message is in the pgmq queue llm_requests.';
  elsif waiting.hold = 'agent_paused' or v_agent.paused then
    return format('The agent %s is paused.', waiting.agent_id);
  elsif waiting.hold = 'agent_concurrency' then
    return format('The agent %s has as many calls in flight as it may: %s.', waiting.agent_id, v_agent.max_concurrency);
  elsif waiting.hold = 'agent_budget' then
    return format('The budget of the agent %s is spent: %s.', waiting.agent_id, concat_ws(' and ',
      round(llmq.agent_spent(waiting.agent_id, 'day'), 4) || ' of ' || v_agent.daily_budget_usd || ' USD today',
      round(llmq.agent_spent(waiting.agent_id, 'month'), 4) || ' of ' || v_agent.monthly_budget_usd || ' USD this month'
    ));
  elsif waiting.hold = 'route_paused' then
    return format('Its route (complexity %s, task type %s) is paused.', waiting.complexity, waiting.task_type);
  elsif waiting.hold = 'shared' then
    return format('It will get the answer of an identical request in flight: %s.',
      (select t.leader_id from llmq.twins as t where t.request_id = waiting.id));
  elsif waiting.run_at > v_now then
    return concat(format('It is not due before %s', waiting.run_at), coalesce('; last error: ' || waiting.error_message, '.'));
  elsif v_model.paused then
    return format('The model %s is paused.', v_model.name);
  elsif v_model.provider_paused then
    return format('The provider %s is paused.', v_model.provider);
  elsif v_model.cooling_until > v_now then
    return format('The model %s cools down until %s: %s', v_model.name, v_model.cooling_until, v_model.reason);
  elsif not exists (select from llmq.workers as w where w.heartbeat_at > v_now - w.lost_after and not w.stopping) then
    return 'No orchestrator is alive. Start one: llmq start.';
  end if;
  for v_meter in
    select m.*, u.requests, u.recent_requests, u.input_tokens, u.output_tokens, u.in_flight
    from llmq.lane_meters as m
    cross join lateral llmq.meter_use(m.meter, m.lanes, v_now) as u
    where m.lane = waiting.lane
  loop
    if v_model.admit <= v_meter.in_flight and v_meter.kind = 'model' then
      return format('The model %s recovers (%s): %s calls at once for now.', v_model.name, v_model.reason, v_model.admit);
    elsif v_meter.max_concurrency <= v_meter.in_flight then
      return format('The %s %s has as many calls in flight as it may: %s.', v_meter.kind, v_meter.name, v_meter.max_concurrency);
    elsif v_meter.requests_per_minute <= v_meter.requests then
      return format('The %s %s is at its limit of %s requests a minute.', v_meter.kind, v_meter.name, v_meter.requests_per_minute);
    elsif v_meter.requests_per_minute >= 60 and ceil(v_meter.requests_per_minute / 10.0) <= v_meter.recent_requests then
      return format('The %s %s is at its limit of %s requests a minute, a tenth of it in six seconds.', v_meter.kind, v_meter.name, v_meter.requests_per_minute);
    end if;
  end loop;
  -- Tokens last: whether there is room depends on how many it takes itself.
  for v_meter in
    select m.*, u.input_tokens, u.output_tokens, e.input_tokens as own_input, e.output_tokens as own_output
    from llmq.lane_meters as m
    cross join lateral llmq.meter_use(m.meter, m.lanes, v_now) as u
    cross join lateral llmq.token_habits(waiting.lane) as h
    cross join lateral llmq.expected_tokens(waiting.id, h.input_factor, h.usual_output) as e
    where m.lane = waiting.lane
      and num_nonnulls(m.input_tokens_per_minute, m.output_tokens_per_minute, m.tokens_per_minute) > 0
  loop
    if v_meter.input_tokens > 0 and v_meter.input_tokens + v_meter.own_input > v_meter.input_tokens_per_minute then
      return format('The %s %s is at its limit of %s input tokens a minute; this request takes about %s.', v_meter.kind, v_meter.name, v_meter.input_tokens_per_minute, v_meter.own_input);
    elsif v_meter.output_tokens > 0 and v_meter.output_tokens + v_meter.own_output > v_meter.output_tokens_per_minute then
      return format('The %s %s is at its limit of %s output tokens a minute; this request takes about %s.', v_meter.kind, v_meter.name, v_meter.output_tokens_per_minute, v_meter.own_output);
    elsif v_meter.input_tokens + v_meter.output_tokens > 0
      and v_meter.input_tokens + v_meter.output_tokens + v_meter.own_input + v_meter.own_output > v_meter.tokens_per_minute
    then
      return format('The %s %s is at its limit of %s tokens a minute; this request takes about %s.', v_meter.kind, v_meter.name, v_meter.tokens_per_minute, v_meter.own_input + v_meter.own_output);
    end if;
  end loop;
  return case when ahead > 0 then format('It waits for its turn: %s come first.', ahead) else 'It is next.' end;
end
$$;
comment on function llmq.why_waiting(llmq.queue, bigint) is 'Internal: the first thing that keeps a pending request from running, in one sentence.';
--! EndIncluded internal/why_waiting.sql
--! Included internal/requests_ahead.sql
create function llmq.requests_ahead(waiting llmq.queue) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select count(*)
  from (
    select from llmq.queue as q
    where q.lane = waiting.lane and q.priority >= waiting.priority and q.tag is not null
      and (q.priority > waiting.priority or q.tag < waiting.tag)
    limit 10000
  ) as a
$$;
comment on function llmq.requests_ahead(llmq.queue) is 'Internal: how many requests of the same model come before this one, counted to 10,000.';
--! EndIncluded internal/requests_ahead.sql
--! Included client/explain_llm_request.sql
create function llmq.explain_llm_request(request_id uuid) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_row    record;
  v_queue  llmq.queue;
  v_held   llmq.in_flight;
  v_ahead  bigint;
  v_due    timestamptz;
  v_starts bigint;
begin
  select v.id, v.agent_id, v.status, v.model, v.provider, v.run_at, v.deadline, v.error_type, v.error_message,
    v.attempts, v.max_attempts, v.capacity_waits, v.reasks, v.crashes, v.created_at, v.started_at, v.finished_at
  into v_row
  from llmq.all_llm_requests as v where v.id = request_id;
  if not found or not llmq.may_use_agent(v_row.agent_id) then
    perform llmq.raise_not_found(request_id);
  end if;
  select q.* into v_queue from llmq.queue as q where q.id = request_id;
  select h.* into v_held from llmq.in_flight as h where h.id = request_id;
  if v_row.status = 'pending' then
    v_held := llmq.unclaimed(v_queue);
    v_ahead := llmq.requests_ahead(v_queue);
    v_due := greatest(clock_timestamp(), v_row.run_at, (select s.cooling_until from llmq.model_state as s where s.lane = v_queue.lane));
    v_starts := llmq.starts_per_minute(v_queue.lane);
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'request_id', request_id,
    'status', v_row.status,
    'why', case v_row.status
      when 'pending' then llmq.why_waiting(v_queue, v_ahead)
      when 'processing' then format('It has been running since %s on worker %s.', v_held.started_at,
        coalesce((select w.name from llmq.workers as w where w.id = v_held.worker_id), v_held.worker_id::text))
      when 'completed' then 'It is finished.'
      else concat_ws(': ', 'It ' || case v_row.status when 'failed' then 'failed' else 'was cancelled' end, v_row.error_message)
    end,
    'model', v_row.model,
    'provider', v_row.provider,
    'route', to_jsonb((select r.models from llmq.route_of(v_held.complexity, v_held.task_type) as r)),
    'run_at', v_row.run_at,
    'deadline', v_row.deadline,
    'held', v_queue.hold,
    'cooling_until', (select s.cooling_until from llmq.model_state as s where s.lane = v_held.lane and s.cooling_until > clock_timestamp()),
    'ahead', v_ahead,
    'starts_per_minute', v_starts,
    'estimated_start', case
      when v_queue.hold is not null then null
      when exists (
        select from llmq.models as m
        join llmq.providers as p on p.name = m.provider
        where m.lane = v_queue.lane and (m.paused or p.paused or p.kind = 'external')
      ) then null
      when v_ahead = 0 then v_due
      when v_ahead < 10000 and v_starts > 0 then v_due + v_ahead::double precision / v_starts * interval '1 minute'
    end,
    'limits', (
      select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
        m.kind, m.name,
        'requests_per_minute', m.requests_per_minute, 'requests', u.requests,
        'input_tokens_per_minute', m.input_tokens_per_minute, 'input_tokens', u.input_tokens,
        'output_tokens_per_minute', m.output_tokens_per_minute, 'output_tokens', u.output_tokens,
        'tokens_per_minute', m.tokens_per_minute,
        'max_concurrency', m.max_concurrency, 'in_flight', u.in_flight
      )) order by m.kind)
      from llmq.lane_meters as m
      cross join lateral llmq.meter_use(m.meter, m.lanes, clock_timestamp()) as u
      where m.lane = v_held.lane
    ),
    'error_type', v_row.error_type,
    'error_message', v_row.error_message,
    'attempts', v_row.attempts,
    'max_attempts', v_row.max_attempts,
    'capacity_waits', v_row.capacity_waits,
    'reasks', v_row.reasks,
    'crashes', v_row.crashes,
    'calls', (
      select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
        'number', a.number, 'model', a.model, 'outcome', a.outcome, 'started_at', a.started_at, 'latency_ms', a.latency_ms,
        'status_code', a.status_code, 'error_message', a.error_message, 'input_tokens', a.input_tokens, 'output_tokens', a.output_tokens
      )) order by a.number)
      from llmq.attempts as a
      where a.request_id = explain_llm_request.request_id
    )
  ));
end
$$;
comment on function llmq.explain_llm_request(uuid) is
$$Why a request is not running, or what happened to it: one sentence in "why", and the facts around it. Keys without a value are left out.
request_id: what the submit returned.
Returns: {"request_id", "status", "why", "model", "provider", "route": [model names], "run_at", "deadline", "held", "cooling_until", "ahead", "starts_per_minute", "estimated_start", "limits": [{"model" or "provider": name, each limit, and what is used of it}], "error_type", "error_message", "attempts", "max_attempts", "capacity_waits", "reasks", "crashes", "calls": [{"number", "model", "outcome", "started_at", "latency_ms", "status_code", "error_message", "input_tokens", "output_tokens"}]}. ahead: requests of the same model that come first, counted to 10,000. estimated_start: when it is due and those before it have started, at the pace of the last minute; left out where nothing was started in it, while it is held, and while its model is paused.
Errors: LQ002 unknown or not yours.
Example: select jsonb_pretty(llmq.explain_llm_request('01890a5d-ac96-774b-bcce-b302099a8057'));$$;
--! EndIncluded client/explain_llm_request.sql

-- Workers: register, claim
--! Included worker/register_worker.sql
create function llmq.register_worker(
  name       text,
  lost_after interval = '20 seconds',
  info       jsonb = '{}'
) returns uuid
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  insert into llmq.workers (name, lost_after, info) values (name, lost_after, info) returning id
$$;
comment on function llmq.register_worker(text, interval, jsonb) is
$$A new worker; returns its id.
name: for people, for example host and process number.
lost_after: at least 1 second. Call llmq.heartbeat_worker() more often than this, or what the worker holds is given to others.
info: anything worth seeing in llmq.workers.$$;
--! EndIncluded worker/register_worker.sql
--! Included worker/heartbeat_worker.sql
create function llmq.heartbeat_worker(worker_id uuid, info jsonb = null) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update llmq.workers as w
  set heartbeat_at = clock_timestamp(), info = coalesce(heartbeat_worker.info, w.info)
  where w.id = worker_id;
  return found;
end
$$;
comment on function llmq.heartbeat_worker(uuid, jsonb) is
$$Says that a worker lives. False when it was already given up: its requests run elsewhere, register anew.
worker_id: from llmq.register_worker().
info: replaces what llmq.workers shows; null keeps it.$$;
--! EndIncluded worker/heartbeat_worker.sql
--! Included worker/session_worker.sql
-- A worker for whoever claims by hand or in a script: one per session, found again by its backend.
create function llmq.session_worker() returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_name text := format('session %s of %s', pg_backend_pid(), llmq.caller());
  v_start text;
  v_id   uuid;
begin
  -- Null when the owner of this function may not see the caller's session.
  select a.backend_start::text into v_start from pg_catalog.pg_stat_activity as a where a.pid = pg_backend_pid();
  update llmq.workers as w
  set heartbeat_at = clock_timestamp()
  where w.name = v_name and w.info ->> 'backend_start' is not distinct from v_start
  returning w.id into v_id;
  if not found then
    insert into llmq.workers (name, lost_after, info)
    values (v_name, interval '5 minutes', jsonb_build_object('backend_start', v_start))
    returning id into v_id;
  end if;
  return v_id;
end
$$;
comment on function llmq.session_worker() is 'Internal: the worker of this database session; made at its first claim, lives five minutes past its last.';
--! EndIncluded worker/session_worker.sql
--! Included worker/arm_wake.sql
-- "I am going to sleep: notify me." A submitter that read the flag before this and commits later is not
-- heard, so look again a few times within the first milliseconds; beyond that it costs one poll.
create function llmq.arm_wake() returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if (select s.last_value from llmq.armed as s) = 2 then
    return false;
  end if;
  perform setval('llmq.armed', 2);
  return true;
end
$$;
comment on function llmq.arm_wake() is
$$From now on a submit sends NOTIFY llmq_wake. True when that was not so before: then look once more, a submit may have slipped in.$$;
--! EndIncluded worker/arm_wake.sql
--! Included worker/disarm_wake.sql
create function llmq.disarm_wake() returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if (select s.last_value from llmq.armed as s) = 1 then
    return false;
  end if;
  perform setval('llmq.armed', 1);
  return true;
end
$$;
comment on function llmq.disarm_wake() is
$$From now on submits do not notify: the orchestrators are busy and look by themselves. True when that was not so before.$$;
--! EndIncluded worker/disarm_wake.sql
--! Included worker/promote_waiting.sql
-- pending (waiting) -> pending (ready): rows that are due get their rank, by the rule of llmq.next_tag().
-- Runs inside the claim; one process at a time (advisory lock), so it needs no lock per agent: a submitter
-- that ranks the same agent at this moment shares its last tag with one promoted row at worst.
--
-- It looks from where it looked last: under a long transaction the head of queue_waiting is dead rows.
-- Rows that were committed late lie below that bound; the sweep calls this without it.
create function llmq.promote_waiting(max_rows int = 500, everything boolean = false) returns int
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_from  timestamptz := '-infinity';
  v_rows  int;
begin
  if not everything then
    select s.promoted_until into v_from from llmq.sweep_state as s;
  end if;
  if not exists (
    select from llmq.queue as q
    where q.tag is null and q.hold is null and q.run_at >= v_from and q.run_at <= v_now
  ) then
    return 0;
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('llmq.promote_waiting', 0)) then
    return 0;
  end if;

  insert into llmq.lane_marks (lane, priority)
  select distinct d.lane, d.priority
  from (
    select q.lane, q.priority
    from llmq.queue as q
    where q.tag is null and q.hold is null and q.run_at >= v_from and q.run_at <= v_now
    order by q.run_at
    limit 10000
  ) as d
  where not exists (select from llmq.lane_marks as m where m.lane = d.lane and m.priority = d.priority)
  on conflict do nothing;

  with due as materialized (
    select q.id, q.lane, q.priority, q.agent_id, q.run_at
    from llmq.queue as q
    where q.tag is null and q.hold is null and q.run_at >= v_from and q.run_at <= v_now
    order by q.run_at
    limit max_rows
    for update skip locked
  ),
  groups as materialized (
    select
      g.lane, g.priority, g.agent_id, m.vt,
      coalesce((select a.weight from llmq.agents as a where a.agent_id = g.agent_id), 1)::double precision as weight,
      (
        select q.tag
        from llmq.queue as q
        where llmq.ranking_key(q.lane, q.priority, q.agent_id) = llmq.ranking_key(g.lane, g.priority, g.agent_id)
          and q.tag is not null and q.tag >= m.vt
        order by q.tag desc
        limit 1
      ) as last_tag
    from (select distinct d.lane, d.priority, d.agent_id from due as d) as g
    join llmq.lane_marks as m on m.lane = g.lane and m.priority = g.priority
  ),
  ranked as materialized (
    select
      d.id,
      greatest(g.vt, g.last_tag)
      + row_number() over (partition by d.lane, d.priority, d.agent_id order by d.id) / g.weight as tag
    from due as d
    join groups as g on g.lane = d.lane and g.priority = d.priority and g.agent_id = d.agent_id
  )
  update llmq.queue as q
  set tag = (select r.tag from ranked as r where r.id = q.id), updated_at = v_now
  where q.id = any (array(select r.id from ranked as r));
  get diagnostics v_rows = row_count;

  -- Two seconds of overlap for submitters whose commit is a little late; the sweep finds the others.
  if v_rows < max_rows then
    update llmq.sweep_state as s
    set promoted_until = v_now - interval '2 seconds'
    where s.only_one = any (array(
      select w.only_one from llmq.sweep_state as w
      where w.promoted_until < v_now - interval '2.1 seconds'
      for update skip locked
    ));
  end if;
  return v_rows;
end
$$;
comment on function llmq.promote_waiting(int, boolean) is 'Internal: ranks waiting requests that are due; how many. Bounded by max_rows.';
--! EndIncluded worker/promote_waiting.sql
--! Included internal/open_lane.sql
-- How much may start in a limited lane. Takes the locks of its meters, so that nobody else starts anything
-- there before this claim commits; null when another claim has one: it is serving the lane right now.
--
-- The clock is read behind the locks, and never runs backwards in the ledger: a window counts what lies in it.
-- Requests are also held to a tenth of their limit per six seconds (from 60 a minute on): providers measure
-- shorter spans than a minute, and a burst of a whole minute's calls would end in refusals.
create function llmq.open_lane(lane int) returns llmq.lane_room
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_room  llmq.lane_room;
  v_meter record;
  v_used  record;
begin
  v_room.at := clock_timestamp();
  v_room.idle := true;
  for v_meter in
    select m.* from llmq.lane_meters as m where m.lane = open_lane.lane order by m.meter
  loop
    if not pg_try_advisory_xact_lock(hashtextextended('llmq.meter', v_meter.meter)) then
      return null;
    end if;
    v_room.at := greatest(clock_timestamp(), v_room.at, (
      select u.at + interval '1 microsecond'
      from llmq.usage as u
      where u.meter = v_meter.meter
      order by u.at desc
      limit 1
    ));
    select u.* into v_used from llmq.meter_use(v_meter.meter, v_meter.lanes, v_room.at) as u;
    v_room.requests := least(
      v_room.requests,
      v_meter.requests_per_minute - v_used.requests,
      case when v_meter.requests_per_minute >= 60 then ceil(v_meter.requests_per_minute / 10.0) - v_used.recent_requests end,
      v_meter.max_concurrency - v_used.in_flight
    );
    v_room.input_tokens := least(v_room.input_tokens, v_meter.input_tokens_per_minute - v_used.input_tokens);
    v_room.output_tokens := least(v_room.output_tokens, v_meter.output_tokens_per_minute - v_used.output_tokens);
    v_room.tokens := least(v_room.tokens, v_meter.tokens_per_minute - v_used.input_tokens - v_used.output_tokens);
    v_room.idle := v_room.idle and v_used.input_tokens <= 0 and v_used.output_tokens <= 0;
    v_room.meters := v_room.meters || v_meter.meter;
    v_room.oldest := v_room.oldest || coalesce(v_used.oldest_start, v_room.at);
  end loop;
  return v_room;
end
$$;
comment on function llmq.open_lane(int) is 'Internal: locks the meters of a lane and tells what may start there; null when another claim has them.';
--! EndIncluded internal/open_lane.sql
--! Included internal/agent_room.sql
-- What an agent may still start. Takes the agent's lock, so that claims in other lanes wait with this agent
-- until this one commits; locked is false when another claim has it.
create function llmq.agent_room(
  agent_id text,
  out locked boolean,
  out calls  bigint,
  out usd    numeric,
  out fails  boolean,
  out oldest timestamptz
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_variable
declare
  v_agent record;
  v_from  timestamptz;
begin
  locked := pg_try_advisory_xact_lock(hashtextextended(agent_id, -1));
  if not locked then
    return;
  end if;
  select
    a.max_concurrency, a.over_budget = 'fail' as fails,
    a.daily_budget_usd - case when a.daily_budget_usd is not null then llmq.agent_spent(agent_id, 'day') end as today,
    a.monthly_budget_usd - case when a.monthly_budget_usd is not null then llmq.agent_spent(agent_id, 'month') end as this_month
  into v_agent
  from llmq.agents as a
  where a.agent_id = agent_room.agent_id;
  fails := v_agent.fails;
  usd := least(v_agent.today, v_agent.this_month);
  if v_agent.max_concurrency is not null then
    select u.oldest_start into v_from
    from llmq.agent_usage as u
    where u.agent_id = agent_room.agent_id and not u.compact and u.oldest_start is not null
    order by u.at desc
    limit 1;
    select v_agent.max_concurrency - count(*), min(f.started_at) into calls, oldest
    from (
      select h.started_at
      from llmq.in_flight as h
      where h.agent_id = agent_room.agent_id and h.started_at >= coalesce(v_from, '-infinity')
      order by h.started_at
      offset 0
    ) as f;
  end if;
end
$$;
comment on function llmq.agent_room(text) is
  'Internal: calls and US dollars an agent has left under its limits (null: no limit), under its lock, and the start of the oldest call it has in flight.';
--! EndIncluded internal/agent_room.sql
--! Included internal/find_twin.sql
-- An identical request that makes this call unnecessary: one that was answered (settings.cache_seconds of both
-- not yet over), or one in flight that also lets itself be shared. A try-lock keeps two claims from starting
-- two twins at the same moment.
create function llmq.find_twin(
  own_id uuid, share_key uuid, lane int, shares boolean, starting jsonb,
  out found_as   text,   -- cached | in_flight | busy
  out request_id uuid
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_variable
begin
  select c.request_id into request_id
  from llmq.cached_answers as c
  where c.share_key = share_key and c.lane = lane and c.expires_at > clock_timestamp()
    and c.finished_at > clock_timestamp() - (
      select (r.settings ->> 'cache_seconds')::double precision * interval '1 second' from llmq.requests as r where r.id = own_id
    )
    and exists (select from llmq.results as f where f.id = c.request_id and f.status = 'completed');
  if found then
    found_as := 'cached';
    return;
  end if;
  if shares is not true then
    return;
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended(share_key::text, lane)) then
    found_as := 'busy';
    return;
  end if;
  request_id := coalesce((starting ->> share_key::text)::uuid, (
    select t.request_id
    from llmq.twins as t
    where t.share_key = share_key and t.shares
      and (select h.lane = lane from llmq.in_flight as h where h.id = t.request_id)
    limit 1
  ));
  if request_id is not null then
    found_as := 'in_flight';
  end if;
end
$$;
comment on function llmq.find_twin(uuid, uuid, int, boolean, jsonb) is 'Internal: the identical request whose answer this one may have.';
--! EndIncluded internal/find_twin.sql
--! Included internal/finish_from.sql
-- pending -> completed without a call: the answer is another request's.
create function llmq.finish_from(request_id uuid, source_id uuid, outcome text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform llmq.finish_requests(
    (
      select jsonb_build_array(jsonb_build_object(
        'request_id', finish_from.request_id, 'response', f.response, 'parsed_response', f.parsed_response, 'repairs', f.repairs,
        'finish_reason', f.finish_reason,
        'calls', jsonb_build_array(jsonb_build_object('outcome', outcome, 'error_message', format('the answer of %s', source_id)))
      ))
      from llmq.results as f
      where f.id = source_id
    ),
    'completed'
  );
end
$$;
comment on function llmq.finish_from(uuid, uuid, text) is 'Internal: completes a request with the answer of another; the ledger says shared or cached, and whose answer it was.';
--! EndIncluded internal/finish_from.sql
--! Included internal/admit_requests.sql
-- The part of the claim that looks at single requests, where something is limited, paused or shared: which of
-- the candidates (locked, in the order of their tags) may start, and what each reserves.
--
--   its agent or route is paused, its agent has all its calls in flight
--   or no money left                                                      -> held: out of the way until released
--   over budget, and the agent is set to fail                             -> failed (budget_exceeded)
--   another claim is looking at its agent or its twin                     -> left for the next claim
--   an identical request has its answer, or is in flight                  -> completed from the cache, or held
--   the lane has no room for its tokens                                   -> it and all behind it wait: else
--                                                                            small ones would starve a large one
-- Lock order: agents and twins by try-locks only.
create function llmq.admit_requests(
  candidates uuid[],
  lane       int,
  room       llmq.lane_room,
  most       bigint,
  out ids           uuid[],
  out input_tokens  int[],
  out output_tokens int[],
  out usd           numeric[],
  out limited       uuid[],
  out agents        jsonb,
  out handled       int
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_counts_tokens boolean := num_nonnulls(room.input_tokens, room.output_tokens, room.tokens) > 0;
  v_now           timestamptz := clock_timestamp();
  v_model         text := (select m.name from llmq.models as m where m.lane = admit_requests.lane);
  v_habits        record;
  v_routes_paused boolean := exists (select from llmq.routes as r where r.paused);
  v_in_used       bigint := 0;
  v_out_used      bigint := 0;
  v_agent         jsonb;
  v_leaders       jsonb := '{}';
  v_found_as      text;
  v_twin_id       uuid;
  v_hold          text;
  v_held          uuid[] := '{}';
  v_holds         text[] := '{}';
  v_led_by        uuid[] := '{}';
  v_broke         llmq.in_flight[] := '{}';
  v_row           record;
begin
  ids := '{}';
  limited := '{}';
  agents := '{}';
  handled := 0;
  select h.* into v_habits from llmq.token_habits(lane) as h;
  for v_row in
    select
      q.held, q.id, q.agent_id, q.complexity, q.task_type, q.pinned, s.share_key, s.shares,
      a.agent_id is not null as limited, a.paused, a.max_concurrency is not null as counted, b.budgeted,
      t.input_tokens, t.output_tokens,
      case when b.budgeted then coalesce(llmq.cost_of(p, t.input_tokens, t.output_tokens, 0, 0), 0) end as cost
    from unnest(candidates) with ordinality as c (id, place)
    cross join lateral (select w as held, w.* from llmq.queue as w where w.id = c.id offset 0) as q
    left join llmq.twins as s on s.request_id = q.id
    left join llmq.agents as a
      on a.agent_id = q.agent_id
      and (a.paused or a.max_concurrency is not null or a.daily_budget_usd is not null or a.monthly_budget_usd is not null)
    cross join lateral (select num_nonnulls(a.daily_budget_usd, a.monthly_budget_usd) > 0 as budgeted) as b
    left join lateral llmq.expected_tokens(q.id, v_habits.input_factor, v_habits.usual_output) as t on v_counts_tokens or b.budgeted
    left join lateral llmq.price_at(v_model, v_now, t.input_tokens) as p on b.budgeted
    order by c.place
  loop
    exit when cardinality(ids) >= most;
    v_hold := case
      when v_row.paused then 'agent_paused'
      when v_routes_paused and not v_row.pinned and (select r.paused from llmq.route_of(v_row.complexity, v_row.task_type) as r) then 'route_paused'
    end;
    if v_hold is null and v_row.share_key is not null then
      select t.found_as, t.request_id into v_found_as, v_twin_id
      from llmq.find_twin(v_row.id, v_row.share_key, lane, v_row.shares, v_leaders) as t;
      if v_found_as = 'cached' then
        perform llmq.finish_from(v_row.id, v_twin_id, 'cached');
        handled := handled + 1;
      end if;
      continue when v_found_as in ('cached', 'busy');
      v_hold := case when v_found_as = 'in_flight' then 'shared' end;
    end if;

    if v_hold is null and v_row.limited then
      v_agent := agents -> v_row.agent_id;
      if v_agent is null then
        v_agent := (select to_jsonb(r) from llmq.agent_room(v_row.agent_id) as r);
        agents := agents || jsonb_build_object(v_row.agent_id, v_agent);
      end if;
      continue when not (v_agent ->> 'locked')::boolean;
      if (v_agent ->> 'calls')::bigint <= 0 then
        v_hold := 'agent_concurrency';
      elsif v_row.budgeted and (v_agent ->> 'usd')::numeric < v_row.cost then
        if (v_agent ->> 'fails')::boolean then
          v_broke := v_broke || llmq.unclaimed(v_row.held);
          handled := handled + 1;
          continue;
        end if;
        v_hold := 'agent_budget';
      end if;
    end if;

    if v_hold is not null then
      v_held := v_held || v_row.id;
      v_holds := v_holds || v_hold;
      v_led_by := v_led_by || case when v_hold = 'shared' then v_twin_id end;
      continue;
    end if;
    if v_counts_tokens then
      exit when not (
        (room.idle and ids = '{}')
        or least(
          room.input_tokens - v_in_used - v_row.input_tokens,
          room.output_tokens - v_out_used - v_row.output_tokens,
          room.tokens - v_in_used - v_out_used - v_row.input_tokens - v_row.output_tokens
        ) >= 0
      );
      v_in_used := v_in_used + v_row.input_tokens;
      v_out_used := v_out_used + v_row.output_tokens;
    end if;
    if v_row.limited then
      agents := agents || jsonb_build_object(v_row.agent_id, v_agent || jsonb_build_object(
        'calls', (v_agent ->> 'calls')::bigint - 1, 'usd', (v_agent ->> 'usd')::numeric - v_row.cost
      ));
    end if;
    if v_row.shares then
      v_leaders := v_leaders || jsonb_build_object(v_row.share_key, v_row.id);
    end if;
    if v_row.counted then
      limited := limited || v_row.id;
    end if;
    ids := ids || v_row.id;
    -- 0 where only requests are counted, null where nothing is.
    input_tokens := input_tokens || case when v_counts_tokens then v_row.input_tokens when room.meters is not null then 0 end;
    output_tokens := output_tokens || case when v_counts_tokens then v_row.output_tokens when room.meters is not null then 0 end;
    usd := usd || v_row.cost;
  end loop;

  if v_held <> '{}' then
    update llmq.queue as q
    set tag = null, hold = v_holds[array_position(v_held, q.id)], updated_at = clock_timestamp()
    where q.id = any (v_held);
    update llmq.twins as s
    set leader_id = v_led_by[array_position(v_held, s.request_id)]
    where s.request_id = any (v_held);
    handled := handled + cardinality(v_held);
  end if;
  if v_broke <> '{}' then
    perform llmq.end_unfinished(v_broke, 'failed', 'budget_exceeded', 'The budget of the agent is spent', null);
  end if;
end
$$;
comment on function llmq.admit_requests(uuid[], int, llmq.lane_room, bigint) is
  'Internal: which candidates of a claim may start, with the tokens and US dollars each reserves; handled counts those that were held or ended instead.';
--! EndIncluded internal/admit_requests.sql
--! Included internal/note_start.sql
-- What a claim took from a limited lane, noted at each of its meters; the room that is left.
create function llmq.note_start(room llmq.lane_room, requests int, input_tokens int[], output_tokens int[])
returns llmq.lane_room
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_input  bigint := coalesce((select sum(t) from unnest(input_tokens) as t), 0);
  v_output bigint := coalesce((select sum(t) from unnest(output_tokens) as t), 0);
begin
  insert into llmq.usage (meter, at, requests, input_tokens, output_tokens, oldest_start)
  select m.meter, room.at, requests, v_input, v_output, least(m.oldest, room.at)
  from unnest(room.meters, room.oldest) as m (meter, oldest);
  room.requests := room.requests - requests;
  room.input_tokens := room.input_tokens - v_input;
  room.output_tokens := room.output_tokens - v_output;
  room.tokens := room.tokens - v_input - v_output;
  room.idle := room.idle and v_input + v_output = 0;
  return room;
end
$$;
comment on function llmq.note_start(llmq.lane_room, int, int[], int[]) is 'Internal: writes llmq.usage for calls that a claim begins.';
--! EndIncluded internal/note_start.sql
--! Included internal/note_agents.sql
-- What a claim took from limited agents: a row for each, which also says where counting its calls begins next time.
create function llmq.note_agents(request_ids uuid[], limited uuid[], agents jsonb) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  insert into llmq.agent_usage (agent_id, at, usd, oldest_start)
  select
    f.agent_id, f.started_at, coalesce(sum(f.reserved_usd), 0),
    case when bool_or(f.id = any (limited)) then least((agents -> f.agent_id ->> 'oldest')::timestamptz, f.started_at) end
  from unnest(request_ids) as i (id)
  -- Row by row: grouped by agent, a plan made on an empty queue would read all of it in the order of agents.
  cross join lateral (select w.* from llmq.in_flight as w where w.id = i.id offset 0) as f
  where f.reserved_usd is not null or f.id = any (limited)
  group by f.agent_id, f.started_at
$$;
comment on function llmq.note_agents(uuid[], uuid[], jsonb) is 'Internal: writes llmq.agent_usage for calls that a claim begins; limited: those whose agent may have only so many in flight.';
--! EndIncluded internal/note_agents.sql
--! Included worker/claim_pending_llm_requests.sql
-- THE CLAIM. pending (ready) -> processing, for up to max_requests rows; never one row twice, never more
-- than asked, never over a limit.
--
-- 1. Rows that have become due are ranked (llmq.promote_waiting).
-- 2. Which lanes can run now? A few rows of llmq.lane_marks: not paused, not cooling down, and with a ready
--    row at or above the mark (one index probe each). A lane in trouble costs this probe and nothing more.
-- 3. Lane by lane, the highest priority first, then who waited longest, until there are enough:
--    a. A limited lane is opened (llmq.open_lane): its room, under the locks of its limits. One that another
--       claim has open is passed over.
--    b. It is scanned from its mark in the order of the tags. The limit that varies is outside: a generic plan takes
--       one of unknown size for a tenth of the table. Rows are locked as they are taken, no more. The CTE is
--       materialized: it is the fence that keeps the plan from running the locking scan twice.
--    c. Where agents are limited, tokens counted or answers shared, each row is looked at
--       (llmq.admit_requests). What its agent may not start now leaves the lane, so that no claim meets it again.
--    d. The rows move to llmq.in_flight, by id array: joined with the CTE, a table analyzed while nearly empty is
--       read by its whole primary key (39,000 buffers). The mark moves, at most every 100 ms, unless another claim
--       holds it.
--    e. What was taken from limits and budgets is noted down.
--
-- Lock order: advisory locks (try only), then queue rows (skip locked), then marks (skip locked): a claim
-- never waits for another.
create function llmq.claim_pending_llm_requests(
  max_requests int = 50,
  worker_id    uuid = null,
  models       text[] = null
) returns setof llmq.claimed_request
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_mergejoin = off
set enable_hashjoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_now       timestamptz;
  v_worker    uuid := worker_id;
  v_any_agent boolean;
  v_any_route boolean;
  v_any_twin  boolean;
  v_lane      record;
  v_room      llmq.lane_room;
  v_want      bigint;
  v_found     record;
  v_admit     record;
  v_looked    boolean;
  v_ids       uuid[] := '{}';
begin
  if max_requests is null or max_requests not between 1 and 1000 then
    raise exception using errcode = 'LQ001', message = 'max_requests must be between 1 and 1000',
      detail = format('It is %s.', coalesce(max_requests::text, 'null'));
  end if;
  if v_worker is null then
    v_worker := llmq.session_worker();
  elsif not exists (select from llmq.workers as w where w.id = v_worker) then
    raise exception using errcode = 'LQ004', message = format('worker %s is not registered', v_worker),
      detail = 'It never was, or its heartbeat stopped and it was given up.', hint = 'Call llmq.register_worker() for a new id.';
  end if;

  perform llmq.promote_waiting();
  v_any_agent := exists (
    select from llmq.agents as a
    where a.paused or a.max_concurrency is not null or a.daily_budget_usd is not null or a.monthly_budget_usd is not null
  );
  v_any_route := exists (select from llmq.routes as r where r.paused);
  v_any_twin := exists (select from llmq.twins);

  for v_lane in
    select
      m.lane, m.priority, m.scan, mo.name, mo.provider, p.kind, p.base_url, p.api_key_env, mo.model_id,
      p.options || mo.options as options, mo.context_window, mo.max_output_tokens,
      l.calls_limited is not null as limited, coalesce(l.calls_limited, false) as calls_limited
    from llmq.lane_marks as m
    join llmq.models as mo on mo.lane = m.lane
    join llmq.providers as p on p.name = mo.provider
    left join lateral (
      select bool_or(t.max_concurrency is not null) as calls_limited from llmq.lane_meters as t where t.lane = m.lane
    ) as l on true
    where not mo.paused
      and not p.paused
      and p.kind <> 'external'
      and (claim_pending_llm_requests.models is null or mo.name = any (claim_pending_llm_requests.models))
      and not exists (select from llmq.model_state as s where s.lane = m.lane and s.cooling_until > clock_timestamp())
      and (
        select 1
        from llmq.queue as q
        where q.lane = m.lane and q.priority = m.priority and q.tag is not null
          and q.tag >= m.scan
        order by q.tag
        limit 1
      ) is not null
    order by m.priority desc, m.served_at, random()
  loop
    v_room := null;
    if v_lane.limited then
      v_room := llmq.open_lane(v_lane.lane);
      continue when v_room is null;
    end if;
    v_now := coalesce(v_room.at, clock_timestamp());

    -- A second round and more only where the rows met so far were held: a limited agent's backlog, in larger bites.
    for v_round in 1..10 loop
      v_want := least(max_requests - cardinality(v_ids), v_room.requests);
      exit when v_want <= 0;
      with picked as materialized (
        select r.id, r.tag, r.agent_id
        from (
          select q.id, q.tag, q.agent_id
          from llmq.queue as q
          where q.lane = v_lane.lane and q.priority = v_lane.priority and q.tag is not null
            and q.tag >= v_lane.scan
            and (q.deadline is null or q.deadline > v_now)
          order by q.tag
          limit 1000
          for update skip locked
        ) as r
        limit case when v_round = 1 then v_want else greatest(v_want, 200) end
      )
      select
        array_agg(k.id) as ids,
        bool_or(v_any_twin and exists (select from llmq.twins as t where t.request_id = k.id)) as shared,
        bool_or(v_any_agent and exists (
          select from llmq.agents as a
          where a.agent_id = k.agent_id
            and (a.paused or a.max_concurrency is not null or a.daily_budget_usd is not null or a.monthly_budget_usd is not null)
        )) as limited
      into v_found
      from picked as k;
      exit when v_found.ids is null;

      v_looked := v_any_route or v_found.limited or v_found.shared
        or num_nonnulls(v_room.input_tokens, v_room.output_tokens, v_room.tokens) > 0;
      if v_looked then
        select a.* into v_admit from llmq.admit_requests(v_found.ids, v_lane.lane, v_room, v_want) as a;
      else
        select v_found.ids as ids, 0 as handled, null::int[] as input_tokens, null::int[] as output_tokens, null::numeric[] as usd, null::uuid[] as limited, null::jsonb as agents
        into v_admit;
      end if;

      return query
      with claimed as (
        delete from llmq.queue as q
        where q.id = any (v_admit.ids)
        returning q.*, nextval('llmq.claim_ids') as claim_id
      ),
      moved as (
        insert into llmq.in_flight (
          id, worker_id, claim_id, started_at, run_at, deadline, created_at, pgmq_msg_id, reserved_usd, reserved_input,
          reserved_output, lane, calls, capacity_waits, priority, max_attempts, attempts, reasks, crashes, route_step,
          pinned, has_reply_to, agent_id, task_type, complexity, error_type, error_message
        )
        select
          c.id, v_worker, c.claim_id, v_now, c.run_at, c.deadline, c.created_at, c.pgmq_msg_id,
          case when v_looked then v_admit.usd[array_position(v_admit.ids, c.id)] end,
          case when v_looked then v_admit.input_tokens[array_position(v_admit.ids, c.id)] when v_lane.limited then 0 end,
          case when v_looked then v_admit.output_tokens[array_position(v_admit.ids, c.id)] when v_lane.limited then 0 end,
          c.lane, c.calls, c.capacity_waits, c.priority, c.max_attempts, c.attempts, c.reasks, c.crashes, c.route_step,
          c.pinned, c.has_reply_to, c.agent_id, c.task_type, c.complexity, c.error_type, c.error_message
        from claimed as c
      ),
      movable as materialized (
        select m.lane, m.priority, greatest(m.vt, (select max(c.tag) from claimed as c)) as vt
        from llmq.lane_marks as m
        where m.lane = v_lane.lane and m.priority = v_lane.priority and m.served_at < v_now - interval '100 milliseconds'
        for update of m skip locked
      ),
      marked as (
        update llmq.lane_marks as m
        set vt = v.vt,
            previous = case when m.rotated_at < v_now - interval '1 second' then v.vt else m.previous end,
            scan = case when m.rotated_at < v_now - interval '1 second' then m.previous else m.scan end,
            rotated_at = case when m.rotated_at < v_now - interval '1 second' then v_now else m.rotated_at end,
            served_at = v_now
        from movable as v
        where m.lane = v.lane and m.priority = v.priority
      )
      select
        c.id, c.claim_id, c.agent_id, c.task_type, c.complexity::text, r.messages::jsonb, r.context::jsonb,
        r.response_schema::jsonb, r.tools::jsonb, r.settings::jsonb, c.deadline, c.created_at, v_now, c.attempts,
        c.max_attempts::smallint, v_lane.name, v_lane.provider, v_lane.kind, v_lane.base_url, v_lane.api_key_env, v_lane.model_id,
        v_lane.options, v_lane.context_window, v_lane.max_output_tokens,
        v_lane.calls_limited or coalesce(c.id = any (v_admit.limited), false)
      -- Put in order before the prompts come along.
      from (select d.* from claimed as d order by d.tag) as c
      cross join lateral (select r.* from llmq.requests as r where r.id = c.id limit 1) as r
      order by c.tag;

      if v_admit.ids <> '{}' then
        v_ids := v_ids || v_admit.ids;
        if v_lane.limited then
          v_room := llmq.note_start(v_room, cardinality(v_admit.ids), v_admit.input_tokens, v_admit.output_tokens);
        end if;
        if v_looked then
          perform llmq.note_agents(v_admit.ids, v_admit.limited, v_admit.agents);
        end if;
      end if;
      exit when v_admit.handled = 0;
    end loop;
    exit when cardinality(v_ids) >= max_requests;
  end loop;
end
$$;
comment on function llmq.claim_pending_llm_requests(int, uuid, text[]) is
$$Takes up to max_requests pending requests for a worker and marks them processing. Each row has all that a call needs (type llmq.claimed_request); hand its claim_id back with the outcome. No request is handed out twice.
max_requests: 1 to 1000; the most rows returned.
worker_id: from llmq.register_worker(); null: a worker is made for this session, which has five minutes from its last claim before its requests go to others.
models: only requests that would ask one of these models; null: any.
Errors: LQ001 max_requests, LQ004 unknown worker.$$;
--! EndIncluded worker/claim_pending_llm_requests.sql
--! Included internal/raise_illegal_transition.sql
create function llmq.raise_illegal_transition(request_id uuid, target text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_status text;
  v_claim  bigint;
begin
  select v.status into v_status from llmq.all_llm_requests as v where v.id = request_id;
  select h.claim_id into v_claim from llmq.in_flight as h where h.id = request_id;
  if v_status is null then
    perform llmq.raise_not_found(request_id);
  end if;
  raise exception using errcode = 'LQ007',
    message = format('request %s cannot become %s', request_id, target),
    detail = format('It is %s%s.', v_status, coalesce(', held by claim ' || v_claim, '')),
    hint = case v_status
      when 'pending' then 'Claim it first: llmq.claim_pending_llm_requests() or llmq.mark_processing().'
      when 'processing' then 'Another worker holds it; what this one did changes nothing.'
      else 'It is finished. llmq.retry_llm_request() runs a failed or cancelled one again.'
    end;
end
$$;
comment on function llmq.raise_illegal_transition(uuid, text) is 'Internal: says why a transition was refused (LQ007), or that the request is unknown (LQ002).';
--! EndIncluded internal/raise_illegal_transition.sql
--! Included worker/mark_processing.sql
-- pending -> processing, for one request by id: a worker that knows what it wants (an external one).
create function llmq.mark_processing(request_id uuid, worker_id uuid = null) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_worker uuid := coalesce(worker_id, llmq.session_worker());
  v_taken  llmq.queue;
  v_held   llmq.in_flight;
begin
  if not exists (select from llmq.workers as w where w.id = v_worker) then
    raise exception using errcode = 'LQ004', message = format('worker %s is not registered', v_worker),
      hint = 'Call llmq.register_worker() for a new id.';
  end if;
  delete from llmq.queue as q
  where q.id = request_id and (q.deadline is null or q.deadline > clock_timestamp())
  returning q.* into v_taken;
  if not found then
    perform llmq.raise_illegal_transition(request_id, 'processing');
  end if;
  v_held := llmq.unclaimed(v_taken);
  v_held.worker_id := v_worker;
  v_held.claim_id := nextval('llmq.claim_ids');
  v_held.started_at := clock_timestamp();
  insert into llmq.in_flight select v_held.*;
  return v_held.claim_id;
end
$$;
comment on function llmq.mark_processing(uuid, uuid) is
$$Takes one pending request by its id (also one that is not due yet); returns the claim_id to finish it with.
request_id: the request.
worker_id: from llmq.register_worker(); null: a worker of this session.
Errors: LQ002 unknown, LQ004 unknown worker, LQ007 not pending, or its deadline has passed.$$;
--! EndIncluded worker/mark_processing.sql

-- Finishing
--! Included internal/newest_claims.sql
-- A worker that lost a request and claimed it again may report both claims in one batch, and a report may be
-- sent twice. Claim numbers grow, so only the newest of a request can still hold it; 0 stands for none given.
create function llmq.newest_claims(reports jsonb)
returns table (place bigint, report jsonb, request_id uuid, claim_id bigint, newest boolean)
language sql immutable
as $$
  select
    r.place, r.report, r.request_id, r.claim_id,
    row_number() over (partition by r.request_id order by r.claim_id desc, r.place) = 1
  from (
    select
      e.place, e.report, (e.report ->> 'request_id')::uuid as request_id,
      coalesce((e.report ->> 'claim_id')::bigint, 0) as claim_id
    from jsonb_array_elements(reports) with ordinality as e (report, place)
  ) as r
$$;
comment on function llmq.newest_claims(jsonb) is 'Internal: the elements of a batch of outcomes; newest marks the one report of each request that may change it.';
--! EndIncluded internal/newest_claims.sql
--! Included internal/write_attempts.sql
-- The ledger rows of a batch of outcomes, numbered on from what each request already has.
--
-- One plan, kept for the session, whoever calls first: planned anew, one row takes 0.65 ms instead of 0.16, and
-- a plan made for one row (nested loops) would read each side of the joins once per row of a batch. Two calls
-- hardly ever have the same time and tokens: remembering looked-up prices (Memoize) costs more than it saves.
create function llmq.write_attempts(held llmq.in_flight[], outcomes jsonb) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_nestloop = off
set enable_memoize = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
  insert into llmq.attempts (
    request_id, number, model, provider, worker_id, outcome, started_at, finished_at, latency_ms, first_byte_ms,
    status_code, error_message, provider_request_id, finish_reason, output_mode, input_tokens, output_tokens,
    cached_input_tokens, reasoning_tokens, cost_usd
  )
  select
    h.id, h.calls + o.place, m.name, m.provider, h.worker_id, c.call ->> 'outcome', c.started_at,
    coalesce((c.call ->> 'finished_at')::timestamptz, clock_timestamp()),
    (c.call ->> 'latency_ms')::int, (c.call ->> 'first_byte_ms')::int, (c.call ->> 'status_code')::smallint,
    left(c.call ->> 'error_message', 2000), c.call ->> 'provider_request_id', c.call ->> 'finish_reason',
    c.call ->> 'output_mode', c.input_tokens, c.output_tokens, c.cached_input_tokens, c.reasoning_tokens,
    coalesce(c.cost_usd, llmq.cost_of(p, c.input_tokens, c.output_tokens, c.cached_input_tokens, c.reasoning_tokens))
  from unnest(held) as h
  join (
    -- A function in the select list hands over its rows one by one; in FROM it would fill and drop a tuple
    -- store per request.
    select o.request_id, o.claim_id, o.calls, generate_series(1, jsonb_array_length(o.calls)) as place
    from jsonb_to_recordset(outcomes) as o (request_id uuid, claim_id bigint, calls jsonb)
  ) as o on o.request_id = h.id and (o.claim_id is null or o.claim_id = h.claim_id)
  cross join lateral (select o.calls -> (o.place - 1) as call offset 0) as j
  cross join lateral (
    select
      j.call, coalesce((j.call ->> 'started_at')::timestamptz, h.started_at) as started_at,
      (j.call ->> 'input_tokens')::int as input_tokens, (j.call ->> 'output_tokens')::int as output_tokens,
      (j.call ->> 'cached_input_tokens')::int as cached_input_tokens,
      (j.call ->> 'reasoning_tokens')::int as reasoning_tokens, (j.call ->> 'cost_usd')::numeric as cost_usd
    offset 0
  ) as c
  left join llmq.models as m on m.lane = h.lane
  left join lateral llmq.price_at(m.name, c.started_at, c.input_tokens) as p
    on c.cost_usd is null and (c.input_tokens is not null or c.output_tokens is not null);
end
$$;
comment on function llmq.write_attempts(llmq.in_flight[], jsonb) is 'Internal: ledger rows for the calls that outcomes carry; held are the rows as they were in flight.';
--! EndIncluded internal/write_attempts.sql
--! Included internal/send_replies.sql
-- reply_to, in the transaction that finishes the request. A queue that is gone meanwhile must not keep the
-- request from finishing: the answer is stored anyway, and the reply is set aside with its error.
create function llmq.send_replies(request_ids uuid[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_reply record;
begin
  for v_reply in
    select r.reply_to, jsonb_build_object(
      'request_id', f.id, 'agent_id', f.agent_id, 'task_type', f.task_type, 'status', f.status,
      'response', f.response, 'parsed_response', f.parsed_response, 'validation_errors', f.validation_errors,
      'error_type', f.error_type, 'error_message', f.error_message, 'model', f.model, 'finished_at', f.finished_at
    ) as message
    from unnest(request_ids) as i (id)
    cross join lateral (select f.* from llmq.results as f where f.id = i.id limit 1) as f
    cross join lateral (select r.reply_to from llmq.requests as r where r.id = i.id limit 1) as r
  loop
    begin
      perform pgmq.send(v_reply.reply_to, v_reply.message);
    exception when others then
      insert into llmq.set_aside (queue_name, message, error)
      values (v_reply.reply_to, v_reply.message, sqlerrm);
    end;
  end loop;
end
$$;
comment on function llmq.send_replies(uuid[]) is 'Internal: sends results to the pgmq queues that their requests named.';
--! EndIncluded internal/send_replies.sql
--! Included internal/notify_agents.sql
-- One notification per agent and 200 requests (a payload ends at 8000 bytes), not one per request.
create function llmq.notify_agents(request_ids uuid[], agent_ids text[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify(llmq.result_channel(b.agent_id), string_agg(b.id::text, ','))
  from (
    select u.id, u.agent_id, row_number() over (partition by u.agent_id) / 200 as part
    from unnest(request_ids, agent_ids) as u (id, agent_id)
  ) as b
  group by b.agent_id, b.part;
end
$$;
comment on function llmq.notify_agents(uuid[], text[]) is 'Internal: tells agents that requests of theirs are finished (llmq.result_channel).';
--! EndIncluded internal/notify_agents.sql
--! Included internal/learn_tokens.sql
-- From calls whose use is known. The factor follows the last hundred calls or so; the percentile is a running
-- one, which needs no history: every answer above it pushes it up nine times as far as one below pulls it down.
create function llmq.learn_tokens(used jsonb) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_seen record;
begin
  for v_seen in
    select
      u.lane, count(*) as calls, sum(u.input_tokens)::double precision as input_tokens,
      sum(u.reserved_input) / 1.05 as expected,
      percentile_cont(0.9) within group (order by u.output_tokens) as p90,
      count(*) filter (where u.output_tokens > e.output_p90) as above, coalesce(e.samples, 0) as samples,
      e.output_p90
    from jsonb_to_recordset(used) as u (lane int, known boolean, reserved_input bigint, input_tokens bigint, output_tokens bigint)
    left join llmq.token_estimates as e on e.lane = u.lane
    where u.known and u.reserved_input > 0
    group by u.lane, e.samples, e.output_p90
    order by u.lane
  loop
    insert into llmq.token_estimates (lane) values (v_seen.lane) on conflict do nothing;
    -- Skipped while another batch teaches it, for an estimate is not worth a wait; and once it is good, for two
    -- seconds: under a long transaction every claim reads through all versions of this row.
    update llmq.token_estimates as e
    set input_factor = least(20, greatest(0.05, e.input_factor * (
          1 + least(0.5, v_seen.calls / least(100.0, e.samples + v_seen.calls)) * (v_seen.input_tokens / v_seen.expected - 1)
        ))),
        output_p90 = greatest(1, case
          when e.samples = 0 then v_seen.p90
          else e.output_p90 * (1 + least(1, greatest(-0.5, 0.05 * (0.9 * v_seen.above - 0.1 * (v_seen.calls - v_seen.above)))))
        end),
        samples = e.samples + v_seen.calls,
        updated_at = clock_timestamp()
    where e.lane = any (array(
      select w.lane
      from llmq.token_estimates as w
      where w.lane = v_seen.lane and (w.samples < 100 or w.updated_at < clock_timestamp() - interval '2 seconds')
      for update skip locked
    ));
  end loop;
end
$$;
comment on function llmq.learn_tokens(jsonb) is 'Internal: corrects llmq.token_estimates by what calls used.';
--! EndIncluded internal/learn_tokens.sql
--! Included internal/remaining_of.sql
create function llmq.remaining_of(rate_limit jsonb, dimension text) returns bigint
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  -- Some write "unlimited" as the largest number they know.
  select case when r.remaining < 1e15 then greatest(r.remaining, 0)::bigint end
  from (values ((rate_limit #>> array[dimension, 'remaining'])::double precision)) as r (remaining)
$$;
comment on function llmq.remaining_of(jsonb, text) is
$$Internal: what a provider says is left of a limit; null: it does not say, or has no bound.
rate_limit: as in llmq.sync_rate_limits().
dimension: requests, tokens, input_tokens or output_tokens.$$;
--! EndIncluded internal/remaining_of.sql
--! Included internal/sync_rate_limits.sql
-- The provider's own count, from the headers of an answer. Where it has less left than we think, somebody else
-- uses the same key: the difference is noted as used, until the provider says it is back. Where it has more
-- left, our limits are the stricter ones, and stay.
--
-- Answers come back in any order: an older one knows less use and says nothing that is not known.
create function llmq.sync_rate_limits(held llmq.in_flight[], outcomes jsonb) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_now  timestamptz := clock_timestamp();
  v_said record;
  v_used record;
begin
  for v_said in
    select
      m.meter, m.lanes, m.requests_per_minute, m.input_tokens_per_minute, m.output_tokens_per_minute, m.tokens_per_minute,
      min(llmq.remaining_of(o.rate_limit, 'requests')) as requests,
      max(least((o.rate_limit #>> '{requests,reset_ms}')::double precision, 60000)) as requests_reset,
      min(llmq.remaining_of(o.rate_limit, 'input_tokens')) as input_tokens,
      min(llmq.remaining_of(o.rate_limit, 'output_tokens')) as output_tokens,
      min(llmq.remaining_of(o.rate_limit, 'tokens')) as tokens,
      max(least(greatest(
        (o.rate_limit #>> '{input_tokens,reset_ms}')::double precision, (o.rate_limit #>> '{output_tokens,reset_ms}')::double precision,
        (o.rate_limit #>> '{tokens,reset_ms}')::double precision
      ), 60000)) as tokens_reset
    from unnest(held) as h
    join jsonb_to_recordset(outcomes) as o (request_id uuid, rate_limit jsonb) on o.request_id = h.id and jsonb_typeof(o.rate_limit) = 'object'
    join llmq.lane_meters as m on m.lane = h.lane and m.kind = 'model'
    group by 1, 2, 3, 4, 5, 6
    order by m.meter
  loop
    select u.* into v_used from llmq.meter_use(v_said.meter, '{}', v_now) as u;
    insert into llmq.usage (meter, at, requests, input_tokens, output_tokens)
    select v_said.meter, v_now - interval '61 seconds' + f.reset * interval '1 millisecond', f.requests, f.input_tokens, f.output_tokens
    from (values
      (v_said.requests_reset, greatest(v_said.requests_per_minute - v_used.requests - v_said.requests, 0), 0, 0),
      (
        v_said.tokens_reset, 0,
        greatest(v_said.input_tokens_per_minute - v_used.input_tokens - v_said.input_tokens, 0),
        greatest(
          v_said.output_tokens_per_minute - v_used.output_tokens - v_said.output_tokens,
          v_said.tokens_per_minute - v_used.input_tokens - v_used.output_tokens - v_said.tokens, 0
        )
      )
    ) as f (reset, requests, input_tokens, output_tokens)
    where f.reset > 0 and greatest(f.requests, f.input_tokens, f.output_tokens) > 0;
  end loop;
end
$$;
comment on function llmq.sync_rate_limits(llmq.in_flight[], jsonb) is
$$Internal: lowers the room of limited models to what their provider says is left.
outcomes: [{"request_id", "rate_limit": {"requests": {"limit", "remaining", "reset_ms"}, "tokens", "input_tokens", "output_tokens"}}].$$;
--! EndIncluded internal/sync_rate_limits.sql
--! Included internal/settle.sql
-- A call has ended, well or not: what it reserved becomes what it used, and what its agent had to hold back may
-- run. held are the rows as they were in flight.
--
-- The provider counted a call when it arrived. So tokens that were reserved and not used come back as of its
-- start: they leave the window together with the reservation. What was used beyond it counts from now.
--   answered                        what the provider says it used
--   refused before it ran           (limit, quota, key, bad request) a request, no tokens
--   never left                      nothing at all
--   cut, aborted, lost              what was reserved: it may have run to its end
create function llmq.settle(held llmq.in_flight[], outcomes jsonb) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_now  timestamptz := clock_timestamp();
  v_used jsonb;
begin
  if outcomes @? '$[*].rate_limit' then
    perform llmq.sync_rate_limits(held, outcomes);
  end if;
  select jsonb_agg(to_jsonb(u)) into v_used
  from (
    select
      h.id, h.lane, h.agent_id, h.started_at, h.reserved_input, h.reserved_output, h.reserved_usd,
      c.made - 1 as requests,
      case when c.made = 0 or c.refused then 0 else coalesce(c.input_tokens, h.reserved_input) end as input_tokens,
      case when c.made = 0 or c.refused then 0 else coalesce(c.output_tokens, h.reserved_output) end as output_tokens,
      c.input_tokens is not null and not c.refused as known,
      case when c.made = 0 or c.refused then 0 else coalesce((
        select sum(a.cost_usd) from llmq.attempts as a where a.request_id = h.id and a.number > h.calls
      ), h.reserved_usd) end as usd
    from unnest(held) as h
    left join jsonb_to_recordset(outcomes) as o (request_id uuid, calls jsonb) on o.request_id = h.id
    cross join lateral (
      select
        count(*) filter (where not (e.call ->> 'outcome' in ('exception', 'configuration') and e.call ->> 'status_code' is null)) as made,
        coalesce(bool_and(e.call ->> 'outcome' in ('capacity', 'out_of_quota', 'configuration', 'bad_request', 'too_long', 'mode')), false) as refused,
        sum((e.call ->> 'input_tokens')::bigint) as input_tokens, sum((e.call ->> 'output_tokens')::bigint) as output_tokens
      from jsonb_array_elements(coalesce(nullif(o.calls, 'null'), '[]')) as e (call)
    ) as c
    where h.reserved_input is not null or h.reserved_usd is not null
  ) as u;
  if v_used is null then
    return;
  end if;

  insert into llmq.usage (meter, at, requests, input_tokens, output_tokens)
  select m.meter, d.at, sum(d.requests), sum(d.input_tokens), sum(d.output_tokens)
  from jsonb_to_recordset(v_used) as u (
    lane int, started_at timestamptz, reserved_input bigint, reserved_output bigint, requests int, input_tokens bigint, output_tokens bigint
  )
  cross join lateral (values
    (u.started_at, least(u.requests, 0), least(u.input_tokens - u.reserved_input, 0), least(u.output_tokens - u.reserved_output, 0)),
    (v_now, greatest(u.requests, 0), greatest(u.input_tokens - u.reserved_input, 0), greatest(u.output_tokens - u.reserved_output, 0))
  ) as d (at, requests, input_tokens, output_tokens)
  join llmq.lane_meters as m on m.lane = u.lane
  where u.reserved_input is not null
  group by m.meter, d.at
  having num_nonnulls(nullif(sum(d.requests), 0), nullif(sum(d.input_tokens), 0), nullif(sum(d.output_tokens), 0)) > 0;

  insert into llmq.agent_usage (agent_id, at, usd)
  select u.agent_id, u.started_at, sum(u.usd - u.reserved_usd)
  from jsonb_to_recordset(v_used) as u (agent_id text, started_at timestamptz, reserved_usd numeric, usd numeric)
  where u.reserved_usd is not null
  group by u.agent_id, u.started_at
  having sum(u.usd - u.reserved_usd) <> 0;

  perform llmq.learn_tokens(v_used);
end
$$;
comment on function llmq.settle(llmq.in_flight[], jsonb) is 'Internal: corrects limits and budgets by what calls really used, when they end.';
--! EndIncluded internal/settle.sql
--! Included internal/release_held.sql
-- held -> waiting: what the agents could not start becomes due now, as much of it as they have room for. What
-- turns out to be too much, the claim holds again.
-- Lock order: queue rows by agent, reason, priority and id, skipping what others hold.
create function llmq.release_held(agent_ids text[], max_rows int = 1000) returns int
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_agent record;
  v_rows  int;
  v_total int := 0;
begin
  for v_agent in
    select h.agent_id, r.reason, case r.reason
        when 'agent_paused' then case when a.paused then 0 end
        when 'agent_concurrency' then a.max_concurrency - (
          select count(*) from llmq.in_flight as f where f.agent_id = h.agent_id
        )
        -- What a call costs is not known here: some at a time.
        when 'agent_budget' then case
          when least(
            a.daily_budget_usd - llmq.agent_spent(h.agent_id, 'day'), a.monthly_budget_usd - llmq.agent_spent(h.agent_id, 'month')
          ) <= 0 then 0 when num_nonnulls(a.daily_budget_usd, a.monthly_budget_usd) > 0 then 50 end
      end as room
    from (select distinct u.id as agent_id from unnest(agent_ids) as u (id) order by 1) as h
    cross join unnest('{agent_paused,agent_concurrency,agent_budget}'::llmq.hold_reason[]) as r (reason)
    left join llmq.agents as a on a.agent_id = h.agent_id
    -- Not exists (...): that becomes a join, and reads everything that is held.
    where (select 1 from llmq.queue as q where q.hold = r.reason and q.agent_id = h.agent_id limit 1) is not null
    order by h.agent_id
  loop
    continue when v_agent.room <= 0;
    update llmq.queue as q
    set hold = null, run_at = clock_timestamp(), updated_at = clock_timestamp()
    where q.id = any (array(
      select b.id
      from llmq.queue as b
      where b.hold = v_agent.reason and b.agent_id = v_agent.agent_id
      order by b.priority desc, b.id
      limit least(coalesce(v_agent.room, max_rows), max_rows)
      for update skip locked
    ));
    get diagnostics v_rows = row_count;
    v_total := v_total + v_rows;
  end loop;
  return v_total;
end
$$;
comment on function llmq.release_held(text[], int) is
$$Internal: lets requests that were held because of these agents' limits wait for a claim again, as far as there is room; how many.
max_rows: the most for each agent and reason.$$;
--! EndIncluded internal/release_held.sql
--! Included internal/release_twins.sql
-- The request that others wait for has ended. With an answer, they have it too; without one, the next claim
-- makes one of them ask.
create function llmq.release_twins(ended llmq.in_flight[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ended llmq.twins[];
  v_twin  record;
begin
  with gone as (
    delete from llmq.twins as t
    where t.request_id = any (array(select e.id from unnest(ended) as e))
    returning t
  )
  select array_agg(g.t) into v_ended from gone as g;
  if v_ended is null then
    return;
  end if;
  insert into llmq.cached_answers (share_key, lane, request_id, finished_at, expires_at)
  select distinct on (t.share_key, e.lane)
    t.share_key, e.lane, f.id, f.finished_at,
    f.finished_at + (r.settings ->> 'cache_seconds')::double precision * interval '1 second'
  from unnest(ended) as e
  join unnest(v_ended) as t on t.request_id = e.id
  join llmq.results as f on f.id = e.id and f.status = 'completed'
  join llmq.requests as r on r.id = e.id
  where r.settings ? 'cache_seconds'
    -- An answer from the cache does not become younger by being used.
    and not exists (select from llmq.attempts as a where a.request_id = e.id and a.outcome = 'cached')
  order by t.share_key, e.lane, f.finished_at desc
  on conflict (share_key, lane) do update
  set request_id = excluded.request_id, finished_at = excluded.finished_at, expires_at = excluded.expires_at;

  for v_twin in
    select q.id, e.id as leader, e.lane, f.status = 'completed' as answered
    from unnest(ended) as e
    join unnest(v_ended) as t on t.request_id = e.id
    join llmq.twins as s on s.share_key = t.share_key and s.leader_id = e.id
    join llmq.queue as q on q.id = s.request_id and q.hold = 'shared'
    left join llmq.results as f on f.id = e.id
    order by q.id
    for update of q
  loop
    update llmq.queue as q
    set hold = null, lane = v_twin.lane, run_at = clock_timestamp(), updated_at = clock_timestamp()
    where q.id = v_twin.id;
    if v_twin.answered then
      perform llmq.finish_from(v_twin.id, v_twin.leader, 'shared');
    end if;
  end loop;
end
$$;
comment on function llmq.release_twins(llmq.in_flight[]) is 'Internal: gives the answer of ended requests to the identical ones that wait for it, and to the cache.';
--! EndIncluded internal/release_twins.sql
--! Included internal/note_success.sql
-- A model that answers is well: failures in a row are forgotten, and a recovering one takes one more call at once
-- for each that ended. held are the rows in flight of these calls.
create function llmq.note_success(held llmq.in_flight[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (
    select from llmq.model_state as s where s.cooldowns > 0 or s.failures > 0 or s.admit is not null
  ) then
    return;
  end if;
  -- Rows that somebody else holds are skipped: a hint is not worth a deadlock with llmq.cool_down(). A call that
  -- began before the cool-down says nothing about what came after it.
  update llmq.model_state as s
  set failures = 0,
      cooldowns = 0,
      admit = case when s.admit + n.calls < 256 then s.admit + n.calls end,
      updated_at = clock_timestamp()
  from (
    select h.lane, count(*)::int as calls
    from unnest(held) as h
    join llmq.model_state as w on w.lane = h.lane and h.started_at >= coalesce(w.cooling_until, '-infinity')
    group by h.lane
  ) as n
  where s.lane = n.lane
    and s.lane = any (array(
      select w.lane
      from llmq.model_state as w
      where (w.cooldowns > 0 or w.failures > 0 or w.admit is not null)
        and w.lane in (select h.lane from unnest(held) as h)
      for update skip locked
    ));
end
$$;
comment on function llmq.note_success(llmq.in_flight[]) is 'Internal: what an answer means for the breaker of its model.';
--! EndIncluded internal/note_success.sql
--! Included internal/finish_requests.sql
-- pending or processing -> completed, failed, cancelled: the one place where a request ends. Deletes its row in
-- flight or in the queue, writes ledger and results, archives the pgmq copies, sends reply_to, tells the agents, and
-- gives back what the call reserved: one transaction. A row that is not there any more, or is held by another claim,
-- is left out of the answer.
--
-- Fenced on the primary key and the claim. claim_id is unique over all claims, so two arrays are as exact as pairs, as
-- long as each claim is reported with its own request. Where two are mixed up, the count of results tells, and nothing
-- is lost. An outcome without a claim ends the request whoever has it, or while nobody has.
--
-- Joins of arrays are planned as one row times one row, for which a nested loop looks best and then reads
-- each side once per row of the other (4 of 6 ms at 200 requests): hence enable_nestloop = off.
create function llmq.finish_requests(outcomes jsonb, status text = null) returns uuid[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_nestloop = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_now      timestamptz;
  v_ids      uuid[];
  v_claims   bigint[];
  v_unfenced uuid[];
  v_gone     llmq.in_flight[];
  v_done     uuid[];
  v_agents   text[];
  v_messages bigint[];
  v_replies  uuid[];
  v_reserved boolean;
  v_stored   int;
begin
  select
    array_agg(o.request_id order by o.request_id), array_agg(o.claim_id),
    array_agg(o.request_id order by o.request_id) filter (where o.claim_id is null)
  into v_ids, v_claims, v_unfenced
  from jsonb_to_recordset(outcomes) as o (request_id uuid, claim_id bigint);

  -- Those without a claim stay where they are from here on.
  perform llmq.lock_unfinished(u.id) from unnest(v_unfenced) as u (id);
  with held as (
    delete from llmq.in_flight as h
    where h.id = any (v_ids) and (h.claim_id in (select unnest(v_claims)) or h.id = any (v_unfenced))
    returning h as q
  ),
  waiting as (
    delete from llmq.queue as w
    where w.id = any (v_unfenced)
    returning llmq.unclaimed(w) as q
  ),
  gone as (select h.q from held as h union all select w.q from waiting as w)
  select
    array_agg(g.q), array_agg((g.q).id), array_agg((g.q).agent_id),
    array_agg((g.q).pgmq_msg_id) filter (where (g.q).pgmq_msg_id is not null),
    array_agg((g.q).id) filter (where (g.q).has_reply_to),
    bool_or(num_nonnulls((g.q).reserved_input, (g.q).reserved_usd) > 0)
  into v_gone, v_done, v_agents, v_messages, v_replies, v_reserved
  from gone as g;
  if v_gone is null then
    return '{}';
  end if;
  -- Read behind the first write: whoever follows by finished_at (llmq tail) relies on a transaction number that is older.
  v_now := clock_timestamp();

  perform llmq.write_attempts(v_gone, outcomes);

  insert into llmq.results (
    id, agent_id, task_type, complexity, priority, status, model, provider, created_at, started_at, finished_at,
    published_at, run_at, deadline, error_type, error_message, finish_reason, attempts, max_attempts,
    capacity_waits, reasks, crashes, calls, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens,
    cost_usd, response, parsed_response, validation_errors, repairs
  )
  select
    g.id, g.agent_id, g.task_type, g.complexity, g.priority, coalesce(finish_requests.status, o.status), m.name, m.provider, g.created_at,
    g.started_at, v_now, case when g.pgmq_msg_id is not null then g.created_at end, g.run_at, g.deadline,
    o.error_type, o.error_message, o.finish_reason, g.attempts + coalesce(o.failures, 0), g.max_attempts,
    g.capacity_waits, g.reasks + coalesce(o.reasks, 0), g.crashes + coalesce(o.crashes, 0), coalesce(t.calls, 0),
    t.input_tokens, t.output_tokens, t.cached_input_tokens, t.reasoning_tokens, t.cost_usd,
    o.response, nullif(o.parsed_response, 'null'), nullif(o.validation_errors, 'null'), nullif(nullif(o.repairs, 'null'), '[]')
  from unnest(v_gone) as g
  join jsonb_to_recordset(outcomes) as o (
    request_id uuid, claim_id bigint, status text, response text, parsed_response jsonb, validation_errors jsonb, repairs jsonb,
    error_type text, error_message text, finish_reason text, failures int, reasks int, crashes int
  ) on o.request_id = g.id and (o.claim_id is null or o.claim_id = g.claim_id)
  -- A model that was deleted meanwhile must not take the answer with it.
  left join llmq.models as m on m.lane = g.lane
  left join (
    select
      a.request_id, count(*) as calls, sum(a.input_tokens) as input_tokens, sum(a.output_tokens) as output_tokens,
      sum(a.cached_input_tokens) as cached_input_tokens, sum(a.reasoning_tokens) as reasoning_tokens,
      sum(a.cost_usd) as cost_usd
    from llmq.attempts as a
    where a.request_id = any (v_ids) and a.request_id between v_ids[1] and v_ids[cardinality(v_ids)]
    group by a.request_id
  ) as t on t.request_id = g.id;
  get diagnostics v_stored = row_count;
  if v_stored <> cardinality(v_gone) then
    raise exception using errcode = 'LQ001', message = 'a claim_id belongs to another request of the batch',
      hint = 'Report each claim_id with the request that was claimed by it. Nothing was changed.';
  end if;

  if v_reserved then
    perform llmq.settle(v_gone, outcomes);
  end if;
  if exists (select from llmq.twins) then
    perform llmq.release_twins(v_gone);
  end if;
  if exists (select from llmq.queue as q where q.hold in ('agent_concurrency', 'agent_budget')) then
    perform llmq.release_held(v_agents);
  end if;
  if status = 'completed' then
    perform llmq.note_success(v_gone);
  end if;
  if v_messages is not null and llmq.pgmq_ready() then
    perform pgmq.archive('llm_requests', v_messages);
  end if;
  if v_replies is not null then
    perform llmq.send_replies(v_replies);
  end if;
  perform llmq.notify_agents(v_done, v_agents);
  return v_done;
end
$$;
comment on function llmq.finish_requests(jsonb, text) is 'Internal: ends requests with the given outcomes, all in the given status or each in its own; the ids that were really ended (not those that somebody else holds or ended).';
--! EndIncluded internal/finish_requests.sql
--! Included worker/note_llm_calls.sql
-- A claim may take several calls (a re-ask, a larger max_tokens, another way of asking for JSON). Each is in the
-- ledger before the next has ended: whoever cancels the request meanwhile, gives it back or crashes, what was paid for
-- is known. What the claim reserved stays for the call that follows; these count on top of it, from now.
create function llmq.note_llm_calls(request_id uuid, claim_id bigint, calls jsonb) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
#variable_conflict use_variable
declare
  v_held llmq.in_flight;
begin
  if jsonb_typeof(calls) is distinct from 'array' then
    raise exception using errcode = 'LQ001', message = 'calls must be an array of ledger rows',
      hint = 'As for llmq.mark_completed(): [{"outcome", "started_at", "latency_ms", "input_tokens", ...}].';
  end if;
  update llmq.in_flight as f
  set calls = f.calls + jsonb_array_length(note_llm_calls.calls)
  where f.id = request_id and f.claim_id = note_llm_calls.claim_id
  returning f.* into v_held;
  if not found then
    return false;
  end if;
  v_held.calls := v_held.calls - jsonb_array_length(calls);
  perform llmq.write_attempts(array[v_held], jsonb_build_array(jsonb_build_object('request_id', request_id, 'calls', calls)));

  if v_held.reserved_input is not null then
    insert into llmq.usage (meter, at, requests, input_tokens, output_tokens)
    select
      m.meter, clock_timestamp(), jsonb_array_length(calls),
      coalesce((select sum((c.call ->> 'input_tokens')::bigint) from jsonb_array_elements(calls) as c (call)), 0),
      coalesce((select sum((c.call ->> 'output_tokens')::bigint) from jsonb_array_elements(calls) as c (call)), 0)
    from llmq.lane_meters as m
    where m.lane = v_held.lane;
  end if;
  if v_held.reserved_usd is not null then
    insert into llmq.agent_usage (agent_id, at, usd)
    select v_held.agent_id, v_held.started_at, sum(a.cost_usd)
    from llmq.attempts as a
    where a.request_id = note_llm_calls.request_id and a.number > v_held.calls
    having sum(a.cost_usd) <> 0;
  end if;
  return true;
end
$$;
comment on function llmq.note_llm_calls(uuid, bigint, jsonb) is
$$Writes calls into the ledger while their claim goes on with another call; the outcome then reports only what came after. False when this claim no longer holds the request: nothing was changed.
request_id: whose calls.
claim_id: by which the worker holds it.
calls: rows of the ledger, as for llmq.mark_completed.
Errors: LQ001 no array; 55P03 another transaction held the request for a second, nothing was stored.$$;
--! EndIncluded worker/note_llm_calls.sql
--! Included worker/complete_llm_requests.sql
-- processing -> completed, a whole batch in one call.
create function llmq.complete_llm_requests(answers jsonb)
returns table (request_id uuid, applied boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
  v_ids    uuid[];
  v_newest boolean[];
  v_plain  boolean;
  v_done   uuid[];
begin
  if jsonb_typeof(answers) is distinct from 'array' then
    raise exception using errcode = 'LQ001', message = 'answers must be an array of objects';
  end if;
  -- As a rule every report can be used as it is: putting them together again costs as much as storing them.
  select array_agg(o.request_id order by o.place), count(distinct o.request_id) = count(*) and count(o.claim_id) = count(*)
  into v_ids, v_plain
  from rows from (jsonb_to_recordset(answers) as (request_id uuid, claim_id bigint)) with ordinality as o (request_id, claim_id, place);
  if not v_plain then
    select
      array_agg(a.request_id order by a.place), array_agg(a.newest order by a.place),
      jsonb_agg(a.report || jsonb_build_object('claim_id', a.claim_id) order by a.place) filter (where a.newest)
    into v_ids, v_newest, answers
    from llmq.newest_claims(answers) as a;
  end if;
  v_done := llmq.finish_requests(answers, 'completed');
  return query
  select u.id, coalesce(u.newest, true) and u.id in (select unnest(v_done))
  from unnest(v_ids, v_newest) with ordinality as u (id, newest, place)
  order by u.place;
end
$$;
comment on function llmq.complete_llm_requests(jsonb) is
$$Stores the answers of a batch in one statement. applied is false for a request that this claim no longer holds: nothing was changed for it.
answers: [{"request_id", "claim_id", "response", "parsed_response", "repairs", "finish_reason", "reasks", "calls": [ledger rows, as for llmq.mark_completed]}]. Without its claim_id an answer changes nothing.
Errors: 55P03 another transaction held one of them for a second, nothing was stored: llmq.busy_claims() tells which; LQ001 no array.$$;
--! EndIncluded worker/complete_llm_requests.sql
--! Included worker/mark_completed.sql
-- processing -> completed, for one request.
create function llmq.mark_completed(
  request_id      uuid,
  response        text,
  parsed_response jsonb = null,
  claim_id        bigint = null,
  repairs         jsonb = null,
  calls           jsonb = '[{"outcome": "answered"}]'
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_applied boolean;
begin
  if response is null then
    raise exception using errcode = 'LQ001', message = 'response must not be null', hint = 'Use llmq.mark_failed() when there is no answer.';
  end if;
  if not exists (
    select from llmq.in_flight as f
    where f.id = mark_completed.request_id
      and (mark_completed.claim_id is null or f.claim_id = mark_completed.claim_id)
  ) then
    perform llmq.raise_illegal_transition(request_id, 'completed');
  end if;
  select c.applied into v_applied
  from llmq.complete_llm_requests(jsonb_build_array(jsonb_build_object(
    'request_id', mark_completed.request_id,
    'claim_id', coalesce(mark_completed.claim_id, (select f.claim_id from llmq.in_flight as f where f.id = mark_completed.request_id)),
    'response', response, 'parsed_response', parsed_response, 'repairs', repairs,
    'calls', coalesce(calls, '[]')
  ))) as c;
  if not v_applied then
    perform llmq.raise_illegal_transition(request_id, 'completed');
  end if;
  return true;
end
$$;
comment on function llmq.mark_completed(uuid, text, jsonb, bigint, jsonb, jsonb) is
$$Stores the answer of one processing request: processing -> completed. Always true.
request_id: the request.
response: the answer as it came.
parsed_response: the answer as JSON; it is not checked against the response_schema here.
claim_id: from the claim, fences against a worker that took over; null: whoever holds it.
repairs: what was mended, ["code_fence", ...].
calls: rows of the ledger llmq.attempts: [{"outcome", "started_at", "finished_at", "latency_ms", "first_byte_ms", "status_code", "error_message", "provider_request_id", "finish_reason", "output_mode", "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "cost_usd"}]; only outcome is needed.
Errors: LQ001 response is null, LQ002 unknown, LQ007 not processing, or held by another claim: nothing was changed.$$;
--! EndIncluded worker/mark_completed.sql

-- Failing, and what follows
--! Included internal/error_type.sql
create function llmq.error_type(error_class text) returns text
language sql immutable parallel safe
as $$
  select case error_class
    when 'transient' then 'provider_unavailable'
    when 'capacity' then 'provider_unavailable'
    when 'out_of_quota' then 'provider_unavailable'
    when 'configuration' then 'provider_unavailable'
    when 'invalid' then 'malformed_response'
    when 'deadline' then 'deadline_exceeded'
    else error_class
  end
$$;
comment on function llmq.error_type(text) is 'The error_type that users see for a class of error.';
--! EndIncluded internal/error_type.sql
--! Included internal/backoff.sql
-- Exponential with jitter over half of it: clients that failed together do not come back together.
create function llmq.backoff(attempt int) returns interval
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  select least(
    (llmq.setting('retry_base') #>> '{}')::interval * power(2, least(attempt - 1, 30)),
    (llmq.setting('retry_max') #>> '{}')::interval
  ) * (0.5 + random() / 2)
$$;
comment on function llmq.backoff(int) is 'Internal: how long to wait before the next attempt after the given number of failures (settings retry_base, retry_max).';
--! EndIncluded internal/backoff.sql
--! Included internal/cool_down.sql
-- A model in trouble is left alone, by every orchestrator, until cooling_until. Where the provider names no
-- time, each cool-down in a row is twice as long as the one before; where it does, a tenth of that is the least, or
-- one that always says 0 would be asked hundreds of times a second. Fifty calls that come back with the
-- same 429 are one cool-down, not fifty. After it the model comes back step by step (see llmq.model_state).
create function llmq.cool_down(lane int, error_class text, reason text, retry_after interval = null) returns timestamptz
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now     timestamptz := clock_timestamp();
  v_base    interval := case error_class
    when 'capacity' then interval '1 second'
    when 'out_of_quota' then interval '10 minutes'
    when 'transient' then interval '2 seconds'
    else interval '30 seconds'
  end;
  v_longest interval := greatest(v_base, interval '5 minutes');
  v_admit   int := 1;
  v_until   timestamptz;
begin
  if error_class = 'capacity' then
    select greatest(1, count(*) / 2) into v_admit
    from llmq.in_flight as h
    where h.lane = cool_down.lane;
  end if;
  insert into llmq.model_state as s (lane, cooling_until, reason, error_class, cooldowns, admit)
  values (cool_down.lane, v_now + greatest(coalesce(retry_after, v_base), v_base / 10), left(cool_down.reason, 500), cool_down.error_class, 1, v_admit)
  on conflict on constraint model_state_pkey do update
  set cooling_until = greatest(
        s.cooling_until,
        v_now + (
          select greatest(coalesce(retry_after, d.doubled), d.doubled / 10)
          from least(v_base * power(2, case when s.cooling_until > v_now then s.cooldowns - 1 else s.cooldowns end), v_longest) as d (doubled)
        )
      ),
      cooldowns = case when s.cooling_until > v_now then s.cooldowns else least(s.cooldowns + 1, 20) end,
      admit = case when s.cooling_until > v_now then s.admit else v_admit end,
      failures = 0, reason = excluded.reason, error_class = excluded.error_class, updated_at = v_now
  returning cooling_until into v_until;
  return v_until;
end
$$;
comment on function llmq.cool_down(int, text, text, interval) is 'Internal: no claim from this lane until the returned time.';
--! EndIncluded internal/cool_down.sql
--! Included internal/note_failure.sql
-- Transient failures in a row open the breaker of a model. True when this one was a probe: the model was known to
-- be in trouble, and the request only happened to be the one that asked whether it is back.
create function llmq.note_failure(held llmq.in_flight, reason text) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_state llmq.model_state;
begin
  insert into llmq.model_state as s (lane, failures) values (held.lane, 1)
  on conflict on constraint model_state_pkey do update set failures = s.failures + 1, updated_at = clock_timestamp()
  returning s.* into v_state;
  -- Begun before the cool-down that is on or just over: it was known already.
  if held.started_at < v_state.cooling_until then
    return v_state.admit is not null;
  end if;
  if v_state.admit is not null or v_state.failures >= (llmq.setting('breaker_failures'))::int then
    perform llmq.cool_down(held.lane, 'transient', reason);
  end if;
  return v_state.admit is not null;
end
$$;
comment on function llmq.note_failure(llmq.in_flight, text) is 'Internal: what a transient failure means for the breaker of its model; whether it was a probe.';
--! EndIncluded internal/note_failure.sql
--! Included internal/next_in_route.sql
-- A model that cools down is passed over while another one is left: it would only keep the request waiting.
create function llmq.next_in_route(held llmq.in_flight, min_context int = null) returns table (step smallint, lane int)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select r.step::smallint, m.lane
  from llmq.route_of(held.complexity, held.task_type) as o
  cross join lateral unnest(o.models) with ordinality as r (model, step)
  join llmq.models as m on m.name = r.model and not m.paused
  where not held.pinned
    and r.step > held.route_step
    and m.lane <> held.lane
    and (min_context is null or m.context_window > min_context)
  order by exists (select from llmq.model_state as s where s.lane = m.lane and s.cooling_until > clock_timestamp()), r.step
  limit 1
$$;
comment on function llmq.next_in_route(llmq.in_flight, int) is 'Internal: the next model a request may fall back to; no row when it named its model or the route ends.';
--! EndIncluded internal/next_in_route.sql
--! Included internal/decide_failure.sql
-- What follows a failed call: THE RETRY POLICY. Pure decision over the row in flight, the class of the error
-- and the clock; llmq.fail_requests() carries it out.
--
--   class           counts as   then
--   transient       attempt     again after a backoff; the next model of the route after the second; failed at max_attempts.
--                               A probe of a model in trouble is a wait (up to twenty: it may be this request that breaks it)
--   exception       attempt     the same, without changing the model
--   capacity        wait        the model cools down; the request waits, or takes the next model if its deadline or the
--                               route's fallback_after comes first
--   out_of_quota    wait        every model of the provider cools down; next model of the route, or wait
--   configuration   wait        the model cools down; next model of the route, or wait
--   too_long        -           a model of the route with a larger context window, else failed
--   invalid         attempt     next model of the route, else failed with the best answer kept
--   lost            crash       again at once; the third crash fails it
--   refused, truncated, bad_request, deadline: failed
create function llmq.decide_failure(
  held        llmq.in_flight,
  error_class text,
  reason      text,
  retry_after interval,
  out verdict    text,         -- again | failed
  out next_lane  int,
  out next_step  smallint,
  out next_run   timestamptz,
  out failures   int,
  out waits      int,
  out crashed    int
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_until timestamptz;
  v_next  record;
begin
  verdict := 'failed';
  next_lane := held.lane;
  next_step := held.route_step;
  next_run := v_now;
  failures := (error_class not in ('capacity', 'out_of_quota', 'configuration', 'too_long', 'lost', 'deadline'))::int;
  waits := (error_class in ('capacity', 'out_of_quota', 'configuration'))::int;
  crashed := (error_class = 'lost')::int;

  case
    when error_class in ('transient', 'exception') then
      if error_class = 'transient' and llmq.note_failure(held, reason) and held.capacity_waits < 20 then
        failures := 0;
        waits := 1;
      end if;
      if held.attempts + failures < held.max_attempts then
        verdict := 'again';
        next_run := v_now + greatest(llmq.backoff(held.attempts + 1), coalesce(retry_after, '0'));
        if error_class = 'transient' and held.attempts + waits + failures >= 2 then
          select n.step, n.lane into next_step, next_lane from llmq.next_in_route(held) as n;
        end if;
      end if;
    when error_class in ('capacity', 'out_of_quota', 'configuration') then
      verdict := 'again';
      if error_class = 'out_of_quota' then
        perform llmq.cool_down(m.lane, error_class, reason, retry_after)
        from llmq.models as m
        where m.provider = (select o.provider from llmq.models as o where o.lane = held.lane)
        order by m.lane;
        select s.cooling_until into v_until from llmq.model_state as s where s.lane = held.lane;
      else
        v_until := llmq.cool_down(held.lane, error_class, reason, retry_after);
      end if;
      if error_class <> 'capacity' or v_until >= held.deadline
        or v_until > held.run_at + (select r.fallback_after from llmq.route_of(held.complexity, held.task_type) as r)
      then
        select n.step, n.lane into next_step, next_lane from llmq.next_in_route(held) as n;
      end if;
    when error_class = 'too_long' then
      select n.step, n.lane into v_next
      from llmq.next_in_route(held, coalesce((select m.context_window from llmq.models as m where m.lane = held.lane), 0)) as n;
      if found then
        verdict := 'again';
        next_step := v_next.step;
        next_lane := v_next.lane;
      end if;
    when error_class = 'invalid' then
      select n.step, n.lane into v_next from llmq.next_in_route(held) as n;
      if found and held.attempts + 1 < held.max_attempts then
        verdict := 'again';
        next_step := v_next.step;
        next_lane := v_next.lane;
      end if;
    when error_class = 'lost' then
      if held.crashes + 1 < (llmq.setting('max_crashes'))::int then
        verdict := 'again';
      end if;
    else
      null;
  end case;
  next_lane := coalesce(next_lane, held.lane);
  next_step := coalesce(next_step, held.route_step);
end
$$;
comment on function llmq.decide_failure(llmq.in_flight, text, text, interval) is 'Internal: the retry policy; see its table in the source.';
--! EndIncluded internal/decide_failure.sql
--! Included internal/fail_requests.sql
-- processing -> pending (again later, perhaps with another model) or failed. Row by row, since each needs
-- its own decision; those that end are ended together, those that do not give back what they reserved.
-- Lock order: the advisory lock of cool-downs, if a model must cool down (two batches that cool the same two
-- models in a different order would wait for each other), then rows in flight in the order of their ids, model_state.
create function llmq.fail_requests(failures jsonb)
returns table (request_id uuid, status text, run_at timestamptz)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  v_failure record;
  v_held    llmq.in_flight;
  v_waits   llmq.in_flight;
  v_next    record;
  v_class   text;
  v_ended   jsonb := '[]';
  v_again   llmq.in_flight[] := '{}';
  v_well    llmq.in_flight[] := '{}';
begin
  if failures @? '$[*].error_class ? (@ == "transient" || @ == "capacity" || @ == "out_of_quota" || @ == "configuration")' then
    perform pg_advisory_xact_lock(hashtextextended('llmq.cool_down', 0));
  end if;
  for v_failure in
    select f.report as failure, f.request_id as id, f.claim_id,
      f.report ->> 'error_class' as error_class, f.report ->> 'error_message' as error_message,
      -- A day at most: who named a year by mistake would park the model for it.
      case when f.report ->> 'retry_after_ms' is not null then
        least((f.report ->> 'retry_after_ms')::double precision, 86400000) * interval '1 millisecond'
      end as retry_after
    from llmq.newest_claims(failures) as f
    where f.newest
    order by f.request_id
  loop
    select h.* into v_held
    from llmq.in_flight as h
    where h.id = v_failure.id and h.claim_id = v_failure.claim_id
    for update;
    continue when not found;

    v_class := v_failure.error_class;
    -- The model did its part.
    if v_class in ('invalid', 'refused', 'truncated', 'too_long', 'bad_request') then
      v_well := v_well || v_held;
    end if;
    select d.* into v_next
    from llmq.decide_failure(v_held, v_class, v_failure.error_message, v_failure.retry_after) as d;

    if v_next.verdict = 'again' then
      perform llmq.write_attempts(array[v_held], jsonb_build_array(v_failure.failure));
      v_waits := v_held;
      v_waits.lane := v_next.next_lane;
      v_waits.route_step := v_next.next_step;
      v_waits.run_at := v_next.next_run;
      v_waits.attempts := v_held.attempts + v_next.failures;
      v_waits.capacity_waits := v_held.capacity_waits + v_next.waits;
      v_waits.crashes := v_held.crashes + v_next.crashed;
      v_waits.reasks := v_held.reasks + coalesce((v_failure.failure ->> 'reasks')::int, 0);
      v_waits.error_type := llmq.error_type(v_class);
      v_waits.error_message := left(v_failure.error_message, 300);
      perform llmq.put_back(array[v_waits], jsonb_array_length(coalesce(nullif(v_failure.failure -> 'calls', 'null'), '[]')));
      v_again := v_again || v_held;
      request_id := v_held.id;
      status := 'pending';
      run_at := v_next.next_run;
      return next;
    else
      v_ended := v_ended || (v_failure.failure || jsonb_build_object(
        'status', 'failed',
        'error_type', coalesce(v_failure.failure ->> 'error_type', llmq.error_type(v_class)),
        'error_message', case
          when llmq.error_type(v_class) = 'provider_unavailable' and v_failure.error_message not like '%LLM provider unavailable%'
            then 'LLM provider unavailable: ' || v_failure.error_message
          else v_failure.error_message
        end,
        'failures', v_next.failures,
        'crashes', v_next.crashed
      ));
    end if;
  end loop;
  if v_again <> '{}' then
    perform llmq.settle(v_again, failures);
    if exists (select from llmq.queue as q where q.hold in ('agent_concurrency', 'agent_budget')) then
      perform llmq.release_held((select array_agg(h.agent_id) from unnest(v_again) as h));
    end if;
  end if;
  perform llmq.note_success(v_well);
  if v_ended <> '[]' then
    return query
    select d.id, 'failed'::text, null::timestamptz from unnest(llmq.finish_requests(v_ended)) as d (id);
  end if;
end
$$;
comment on function llmq.fail_requests(jsonb) is 'Internal: carries out llmq.decide_failure for each failure whose claim still holds.';
--! EndIncluded internal/fail_requests.sql
--! Included internal/check_failure_list.sql
create function llmq.check_failure_list(failures jsonb) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_class text;
begin
  if failures is null or jsonb_typeof(failures) <> 'array' then
    raise exception using errcode = 'LQ001', message = 'failures must be an array of objects';
  end if;
  select f.failure ->> 'error_class' into v_class
  from jsonb_array_elements(failures) as f (failure)
  where coalesce(f.failure ->> 'error_class', '') not in (
    'transient', 'exception', 'capacity', 'out_of_quota', 'configuration', 'too_long', 'invalid', 'refused',
    'truncated', 'bad_request', 'deadline', 'lost'
  )
  limit 1;
  if found then
    raise exception using errcode = 'LQ001', message = format('unknown error_class %s', coalesce(quote_literal(v_class), 'null')),
      hint = 'One of transient, exception, capacity, out_of_quota, configuration, too_long, invalid, refused, truncated, bad_request, deadline, lost.';
  end if;
end
$$;
comment on function llmq.check_failure_list(jsonb) is 'Internal: the shape of reported failures (LQ001).';
--! EndIncluded internal/check_failure_list.sql
--! Included worker/fail_llm_requests.sql
-- processing -> pending or failed, a whole batch in one call.
create function llmq.fail_llm_requests(failures jsonb)
returns table (request_id uuid, applied boolean, status text, run_at timestamptz)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
#variable_conflict use_column
begin
  perform llmq.check_failure_list(failures);
  return query
  with done as materialized (select d.* from llmq.fail_requests(failures) as d)
  select f.request_id, d.request_id is not null, d.status, d.run_at
  from llmq.newest_claims(failures) as f
  left join done as d on d.request_id = f.request_id and f.newest
  order by f.place;
end
$$;
comment on function llmq.fail_llm_requests(jsonb) is
$$Reports a batch of failed calls in one statement. For each: status is pending (runs again at run_at) or failed; applied is false for a request that this claim no longer holds, nothing was changed for it.
failures: [{"request_id", "claim_id", "error_class", "error_message", "retry_after_ms", "response", "parsed_response", "validation_errors", "repairs", "reasks", "calls": [ledger rows, as for llmq.mark_completed]}]. error_class decides what follows: transient, exception, capacity, out_of_quota, configuration, too_long, invalid, refused, truncated, bad_request, deadline, lost.
Errors: 55P03 another transaction held one of them for a second, nothing was stored: llmq.busy_claims() tells which; LQ001 no array, or an unknown error_class.$$;
--! EndIncluded worker/fail_llm_requests.sql
--! Included worker/mark_failed.sql
-- processing -> failed, or -> pending when the kind of error is worth another try.
create function llmq.mark_failed(
  request_id        uuid,
  error_type        text,
  error_message     text,
  claim_id          bigint = null,
  retry             boolean = null,
  response          text = null,
  validation_errors jsonb = null,
  calls             jsonb = null
) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_claim  bigint;
  v_class  text;
  v_status text;
  v_calls  jsonb;
begin
  v_class := case error_type
    when 'provider_unavailable' then 'transient'
    when 'malformed_response' then 'invalid'
    when 'deadline_exceeded' then 'deadline'
    else error_type
  end;
  if v_class is null or v_class not in ('transient', 'invalid', 'exception', 'refused', 'truncated', 'too_long', 'bad_request', 'deadline') then
    raise exception using errcode = 'LQ001', message = format('unknown error_type %s', coalesce(quote_literal(error_type), 'null')),
      hint = 'One of provider_unavailable, malformed_response, exception, refused, truncated, too_long, bad_request, deadline_exceeded.';
  end if;
  if error_message is null then
    raise exception using errcode = 'LQ001', message = 'error_message must not be null';
  end if;
  v_calls := coalesce(calls, jsonb_build_array(jsonb_build_object('outcome', v_class, 'error_message', error_message)));
  select f.claim_id into v_claim
  from llmq.in_flight as f
  where f.id = request_id and (claim_id is null or f.claim_id = claim_id)
  for update;
  if not found then
    perform llmq.raise_illegal_transition(request_id, 'failed');
  end if;
  if retry is false then
    perform llmq.finish_requests(jsonb_build_array(jsonb_build_object(
      'request_id', request_id, 'claim_id', v_claim, 'status', 'failed', 'error_type', error_type,
      'error_message', error_message, 'response', response, 'validation_errors', validation_errors,
      'failures', 1, 'calls', v_calls
    )));
    return 'failed';
  end if;
  select f.status into v_status
  from llmq.fail_requests(jsonb_build_array(jsonb_build_object(
    'request_id', request_id, 'claim_id', v_claim, 'error_class', v_class, 'error_type', error_type,
    'error_message', error_message, 'response', response, 'validation_errors', validation_errors,
    'calls', v_calls
  ))) as f;
  return v_status;
end
$$;
comment on function llmq.mark_failed(uuid, text, text, bigint, boolean, text, jsonb, jsonb) is
$$Reports that one processing request failed, and returns its status now: pending when it will be tried again, else failed.
request_id: the request.
error_type: provider_unavailable and exception are tried again until max_attempts; malformed_response and too_long with the next fitting model of the route; refused, truncated, bad_request and deadline_exceeded fail.
error_message: for people.
claim_id: from the claim, fences against a worker that took over; null: whoever holds it.
retry: false fails it for good; null or true: as error_type says.
response: the answer that could not be used.
validation_errors: [{"type", ...}], as in llmq.llm_requests.
calls: rows of the ledger, as for llmq.mark_completed; null: one row with this error.
Errors: LQ001 unknown error_type or no error_message, LQ002 unknown, LQ007 not processing, or held by another claim: nothing was changed.$$;
--! EndIncluded worker/mark_failed.sql
--! Included worker/release_llm_requests.sql
-- processing -> pending: given back unfinished. No attempt is counted.
create function llmq.release_llm_requests(
  worker_id     uuid,
  request_ids   uuid[] = null,
  except_claims bigint[] = null
) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_held     llmq.in_flight[];
  v_outcomes jsonb;
begin
  select array_agg(h.held) into v_held
  from (
    select f as held
    from llmq.in_flight as f
    where f.worker_id = worker_id
      and (request_ids is null or f.id = any (request_ids))
      and (except_claims is null or f.claim_id <> all (except_claims))
    order by f.id
    for update
  ) as h;
  if v_held is null then
    return 0;
  end if;
  v_outcomes := (
    select jsonb_agg(jsonb_build_object('request_id', h.id, 'calls', '[{"outcome": "released"}]'::jsonb)) from unnest(v_held) as h
  );
  perform llmq.write_attempts(v_held, v_outcomes);
  perform llmq.put_back(v_held, 1, clock_timestamp());
  perform llmq.settle(v_held, v_outcomes);
  perform llmq.release_held((select array_agg(h.agent_id) from unnest(v_held) as h));
  perform pg_notify('llmq_wake', '');
  return cardinality(v_held);
end
$$;
comment on function llmq.release_llm_requests(uuid, uuid[], bigint[]) is
$$Gives unfinished requests of a worker back: pending again, no attempt counted, a ledger row released for each. Returns how many.
worker_id: who holds them.
request_ids: only these; null: everything it holds.
except_claims: not what it holds by these claim_ids. A worker that lost the answer of a claim gives back what it does not know of by naming all it knows.$$;
--! EndIncluded worker/release_llm_requests.sql
--! Included worker/unregister_worker.sql
create function llmq.unregister_worker(worker_id uuid) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform llmq.release_llm_requests(worker_id);
  delete from llmq.cancellations as c where c.worker_id = unregister_worker.worker_id;
  delete from llmq.workers as w where w.id = worker_id;
  return found;
end
$$;
comment on function llmq.unregister_worker(uuid) is
$$A worker leaves: whatever it still holds goes back to pending, no attempt counted. False when it was not registered.
worker_id: from llmq.register_worker().$$;
--! EndIncluded worker/unregister_worker.sql

-- Cancelling, retrying, tool turns
--! Included internal/end_unfinished.sql
-- pending or processing -> cancelled or failed, from outside the worker that may hold it; the worker is
-- told to abort its call.
create function llmq.end_unfinished(held llmq.in_flight[], status text, error_type text, error_message text, outcome text) returns uuid[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into llmq.cancellations (worker_id, claim_id, request_id)
  select h.worker_id, h.claim_id, h.id from unnest(held) as h where h.claim_id is not null;
  if found then
    perform pg_notify('llmq_wake', '');
  end if;
  return llmq.finish_requests((
    select jsonb_agg(jsonb_build_object(
      'request_id', h.id, 'status', end_unfinished.status, 'error_type', end_unfinished.error_type,
      'error_message', end_unfinished.error_message || case when outcome = 'deadline' then coalesce('; last failure: ' || h.error_message, '') else '' end,
      'calls', case when h.claim_id is not null then jsonb_build_array(jsonb_build_object('outcome', outcome)) else '[]' end
    ))
    from unnest(held) as h
  ));
end
$$;
comment on function llmq.end_unfinished(llmq.in_flight[], text, text, text, text) is 'Internal: ends locked requests, pending (without claim_id) or processing, and aborts their calls.';
--! EndIncluded internal/end_unfinished.sql
--! Included worker/take_cancellations.sql
create function llmq.take_cancellations(worker_id uuid) returns table (request_id uuid, claim_id bigint)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  delete from llmq.cancellations as c
  where c.worker_id = take_cancellations.worker_id
  returning c.request_id, c.claim_id
$$;
comment on function llmq.take_cancellations(uuid) is
$$Calls that this worker should abort: their requests were cancelled or ran out of time. Each is told once.
worker_id: from llmq.register_worker().$$;
--! EndIncluded worker/take_cancellations.sql
--! Included worker/lost_claims.sql
create function llmq.lost_claims(worker_id uuid, claim_ids bigint[]) returns setof bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select c.claim_id
  from unnest(claim_ids) as c (claim_id)
  where not exists (
    select from llmq.in_flight as f where f.worker_id = lost_claims.worker_id and f.claim_id = c.claim_id
  )
$$;
comment on function llmq.lost_claims(uuid, bigint[]) is
$$Which of these claims the worker holds no more: their requests ended, or run elsewhere, so nobody waits for those calls. For a worker that asks now and then, since the answer of llmq.take_cancellations() can be lost on its way.
worker_id: from llmq.register_worker().
claim_ids: of the calls it is making.$$;
--! EndIncluded worker/lost_claims.sql
--! Included worker/busy_claims.sql
-- After a report of a batch ended with lock_not_available: which of its rows are in somebody else's hands?
create function llmq.busy_claims(claim_ids bigint[]) returns setof bigint
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  with mine as materialized (
    select f.claim_id from llmq.in_flight as f where f.claim_id = any (claim_ids)
  ),
  free as materialized (
    select f.claim_id from llmq.in_flight as f where f.claim_id = any (claim_ids) for update skip locked
  )
  select m.claim_id from mine as m where m.claim_id not in (select r.claim_id from free as r)
$$;
comment on function llmq.busy_claims(bigint[]) is
$$Which of these claims are of requests that another transaction has locked (a cancellation that was not committed yet, say): their outcomes can be stored when it ends, those of the others at once. It waits for nobody.
claim_ids: of outcomes that could not be stored.$$;
--! EndIncluded worker/busy_claims.sql
--! Included client/cancel_llm_request.sql
-- pending or processing -> cancelled. A running call is aborted by its orchestrator.
create function llmq.cancel_llm_request(request_id uuid, reason text = null) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_held llmq.in_flight := llmq.lock_unfinished(request_id);
begin
  if v_held.id is null or not llmq.may_use_agent(v_held.agent_id) then
    if not exists (select from llmq.results as f where f.id = request_id and llmq.may_use_agent(f.agent_id)) then
      perform llmq.raise_not_found(request_id);
    end if;
    return false;
  end if;
  perform llmq.end_unfinished(array[v_held], 'cancelled', null, reason, 'cancelled');
  return true;
end
$$;
comment on function llmq.cancel_llm_request(uuid, text) is
$$Ends a waiting or running request; a running call is aborted. True when it is cancelled now, false when it had already finished.
request_id: what the submit returned.
reason: kept in error_message.
Errors: LQ002 unknown or not yours.
Example: select llmq.cancel_llm_request('01890a5d-ac96-774b-bcce-b302099a8057', 'the customer hung up');$$;
--! EndIncluded client/cancel_llm_request.sql
--! Included client/retry_llm_request.sql
-- failed or cancelled -> pending: runs again under its id, with fresh counters and today's routes. The
-- ledger keeps the earlier calls.
create function llmq.retry_llm_request(request_id uuid) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_result  llmq.results;
  v_request llmq.requests;
  v_new     llmq.new_request;
begin
  select f.* into v_result from llmq.results as f where f.id = request_id for update;
  if not found or not llmq.may_use_agent(v_result.agent_id) then
    if not exists (select from llmq.all_llm_requests as v where v.id = request_id and llmq.may_use_agent(v.agent_id)) then
      perform llmq.raise_not_found(request_id);
    end if;
    return false;
  end if;
  if v_result.status = 'completed' then
    return false;
  end if;
  select r.* into v_request from llmq.requests as r where r.id = request_id;
  v_new := llmq.new_request(
    v_result.agent_id, v_result.task_type, v_request.messages, v_result.complexity, v_request.context,
    v_request.response_schema, v_request.tools, v_request.settings, v_request.model, v_result.priority,
    null, case when v_result.deadline > clock_timestamp() then v_result.deadline end, v_result.max_attempts,
    null, v_request.reply_to, v_request.parent_id
  );
  v_new.id := request_id;
  delete from llmq.results as f where f.id = request_id;
  insert into llmq.queue (
    id, lane, priority, run_at, deadline, created_at, pgmq_msg_id, max_attempts, calls, pinned, has_reply_to,
    agent_id, task_type, complexity
  ) values (
    request_id, v_new.lane, v_new.priority, clock_timestamp(), v_new.deadline, v_result.created_at,
    (llmq.copy_to_pgmq(array[v_new]))[1], v_new.max_attempts,
    (select coalesce(max(a.number), 0) from llmq.attempts as a where a.request_id = retry_llm_request.request_id),
    v_new.model is not null or coalesce(v_new.context ->> 'executor' = 'external', false), v_new.reply_to is not null, v_new.agent_id, v_new.task_type, v_new.complexity
  );
  perform llmq.note_twins(array[v_new]);
  perform llmq.wake_orchestrators();
  return true;
end
$$;
comment on function llmq.retry_llm_request(uuid) is
$$Runs a failed or cancelled request again under its id, with fresh counters and today's routes. Its earlier result is dropped, the ledger llmq.attempts keeps its calls, and a deadline that has passed is dropped. True when it is pending again, false when it is pending, processing or completed.
request_id: what the submit returned.
Errors: LQ002 unknown or not yours; LQ003, LQ006 as at submit, when the route, model or reply queue is gone.
Example: select llmq.retry_llm_request(id) from llmq.recent_failures where error_type = 'provider_unavailable';$$;
--! EndIncluded client/retry_llm_request.sql
--! Included internal/check_tool_results.sql
create function llmq.check_tool_results(answered llmq.results, tool_results jsonb) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_bad text;
begin
  if tool_results is null or jsonb_typeof(tool_results) <> 'array' then
    raise exception using errcode = 'LQ001', message = 'tool_results must be an array',
      hint = '[{"id": "call_1", "result": {"temperature": 21}}]';
  end if;
  select format('tool_results[%s] must be an object with id (text) and result', t.place - 1) into v_bad
  from jsonb_array_elements(tool_results) with ordinality as t (item, place)
  where jsonb_typeof(t.item) <> 'object' or jsonb_typeof(t.item -> 'id') is distinct from 'string' or not t.item ? 'result'
  limit 1;
  if found then
    raise exception using errcode = 'LQ001', message = v_bad, hint = '[{"id": "call_1", "result": {"temperature": 21}}]';
  end if;
  if answered.status <> 'completed' or coalesce(jsonb_array_length(
    case when jsonb_typeof(answered.parsed_response -> 'tool_calls') = 'array' then answered.parsed_response -> 'tool_calls' end
  ), 0) = 0 then
    raise exception using errcode = 'LQ009', message = format('request %s has no tool calls', answered.id),
      detail = format('It is %s.', answered.status), hint = 'Look at parsed_response -> ''tool_calls''.';
  end if;
  select format('the call %s has no result', quote_literal(c.call ->> 'id')) into v_bad
  from jsonb_array_elements(answered.parsed_response -> 'tool_calls') as c (call)
  where not exists (select from jsonb_array_elements(tool_results) as t (item) where t.item ->> 'id' = c.call ->> 'id')
  limit 1;
  if not found then
    select format('there is no call %s', quote_literal(t.item ->> 'id')) into v_bad
    from jsonb_array_elements(tool_results) as t (item)
    where not exists (
      select from jsonb_array_elements(answered.parsed_response -> 'tool_calls') as c (call) where c.call ->> 'id' = t.item ->> 'id'
    )
    limit 1;
  end if;
  if v_bad is null then
    select format('two results for the call %s', quote_literal(t.item ->> 'id')) into v_bad
    from jsonb_array_elements(tool_results) as t (item)
    group by t.item ->> 'id'
    having count(*) > 1
    limit 1;
  end if;
  if v_bad is not null then
    raise exception using errcode = 'LQ009', message = v_bad,
      detail = format('The calls are %s.', (
        select string_agg(quote_literal(c.call ->> 'id'), ', ') from jsonb_array_elements(answered.parsed_response -> 'tool_calls') as c (call)
      )),
      hint = 'Give exactly one result for each call.';
  end if;
end
$$;
comment on function llmq.check_tool_results(llmq.results, jsonb) is 'Internal: every call of a turn answered once, and nothing else (LQ001, LQ009).';
--! EndIncluded internal/check_tool_results.sql
--! Included internal/tool_turn.sql
-- Calls of the tools that were offered go on in the chat format's own way. Others, made through a response schema,
-- name tools that no provider would know: their turn is the answer as it was, and the results as a user message.
create function llmq.tool_turn(answered llmq.results, tools jsonb, tool_results jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case when tools is not null and not exists (
    select from jsonb_array_elements(answered.parsed_response -> 'tool_calls') as c (call)
    where not exists (
      select from jsonb_array_elements(tools) as t (tool) where t.tool #>> '{function,name}' = c.call ->> 'tool_name'
    )
  ) then
    jsonb_build_array(jsonb_build_object(
      'role', 'assistant',
      'content', answered.parsed_response ->> 'final_response',
      'tool_calls', (
        select jsonb_agg(jsonb_build_object(
          'id', c.call ->> 'id', 'type', 'function',
          'function', jsonb_build_object('name', c.call ->> 'tool_name', 'arguments', (c.call -> 'params')::text)
        ) order by c.place)
        from jsonb_array_elements(answered.parsed_response -> 'tool_calls') with ordinality as c (call, place)
      )
    ))
    || (
      select jsonb_agg(jsonb_build_object(
        'role', 'tool', 'tool_call_id', t.item ->> 'id',
        'content', case when jsonb_typeof(t.item -> 'result') = 'string' then t.item ->> 'result' else (t.item -> 'result')::text end
      ) order by t.place)
      from jsonb_array_elements(tool_results) with ordinality as t (item, place)
    )
  else
    jsonb_build_array(
      jsonb_build_object('role', 'assistant', 'content', coalesce(answered.response, answered.parsed_response::text)),
      jsonb_build_object('role', 'user', 'content', 'Results of the tool calls: ' || tool_results::text)
    )
  end
$$;
comment on function llmq.tool_turn(llmq.results, jsonb, jsonb) is 'Internal: the messages that a turn of tool calls adds to its conversation.';
--! EndIncluded internal/tool_turn.sql
--! Included client/submit_tool_results.sql
-- The next turn: the whole conversation, the model's calls, and what the tools gave back, as a new request
-- with everything else as before. One answer per turn.
create function llmq.submit_tool_results(request_id uuid, tool_results jsonb) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_result   llmq.results;
  v_request  llmq.requests;
  v_settings jsonb;
  v_next     uuid;
begin
  select f.* into v_result from llmq.results as f where f.id = request_id;
  if not found or not llmq.may_use_agent(v_result.agent_id) then
    if exists (select from llmq.all_llm_requests as v where v.id = request_id and llmq.may_use_agent(v.agent_id)) then
      raise exception using errcode = 'LQ009', message = format('request %s is not finished', request_id),
        hint = 'Wait for its tool calls first.';
    end if;
    perform llmq.raise_not_found(request_id);
  end if;
  perform llmq.check_tool_results(v_result, tool_results);
  select r.* into v_request from llmq.requests as r where r.id = request_id;

  -- A forced tool choice was meant for the turn it was made for; kept, the model could never end.
  v_settings := v_request.settings;
  if v_settings ->> 'tool_choice' = 'required' or jsonb_typeof(v_settings -> 'tool_choice') = 'object' then
    v_settings := v_settings - 'tool_choice';
  end if;
  v_next := llmq.submit_llm_request(
    agent_id => v_result.agent_id, task_type => v_result.task_type,
    messages => v_request.messages || llmq.tool_turn(v_result, v_request.tools, tool_results),
    complexity => v_result.complexity, context => v_request.context, response_schema => v_request.response_schema,
    tools => v_request.tools, settings => v_settings, model => v_request.model, priority => v_result.priority,
    max_attempts => v_result.max_attempts, reply_to => v_request.reply_to, parent_id => request_id
  );
  insert into llmq.tool_results as t (request_id, results, next_request_id)
  values (submit_tool_results.request_id, tool_results, v_next)
  on conflict on constraint tool_results_pkey do nothing;
  if not found then
    raise exception using errcode = 'LQ009', message = format('the tool calls of request %s were already answered', request_id),
      detail = format('The next turn is request %s.', (select t.next_request_id from llmq.tool_results as t where t.request_id = submit_tool_results.request_id)),
      hint = 'Each turn takes one answer.';
  end if;
  return v_next;
end
$$;
comment on function llmq.submit_tool_results(uuid, jsonb) is
$$Answers the tool calls of a completed request and queues the next turn with the whole conversation; returns the id of that new request. It keeps agent, task type, complexity, tools, response_schema, settings (but no forced tool_choice), model, priority, max_attempts and reply_to; its parent_id is the answered request.
request_id: the request whose parsed_response has tool_calls.
tool_results: exactly one object for each call: [{"id": "call_1", "result": any JSON}]; other keys, such as is_error, are stored with them.
Errors: LQ001 wrong shape, LQ002 unknown, LQ009 not finished, no tool calls, a call without a result or with two, a result without a call, or already answered.
Example: select llmq.submit_tool_results('01890a5d-ac96-774b-bcce-b302099a8057', '[{"id": "call_1", "result": {"temperature": 21}}]');$$;
--! EndIncluded client/submit_tool_results.sql

-- Shared queues
--! Included worker/receive_in_inbox.sql
create function llmq.inbox_channel(agent_id text) returns text
language sql immutable strict parallel safe
as $$
  select case
    when octet_length(agent_id) <= 50 then 'llmq_inbox:' || agent_id
    else 'llmq_inbox:' || md5(agent_id)
  end
$$;
comment on function llmq.inbox_channel(text) is
$$The notification channel that tells of an agent's new rows in llmq.inbox: llmq_inbox: and the agent_id, or its md5 when it is longer than 50 bytes. The payload is the row's id.
agent_id: the agent.
Example: LISTEN "llmq_inbox:support";$$;

-- The default handler of the shared queues.
create function llmq.receive_in_inbox(queue_name text, message_id bigint, message jsonb) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_agent   text := message ->> 'agent_id';
  v_request uuid;
  v_id      bigint;
begin
  -- A request_id that is none leaves the message without an agent: stored all the same.
  if v_agent is null and message ->> 'request_id' ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then
    v_request := (message ->> 'request_id')::uuid;
    v_agent := (select v.agent_id from llmq.all_llm_requests as v where v.id = v_request);
  end if;
  insert into llmq.inbox (queue_name, message_id, agent_id, message)
  values (receive_in_inbox.queue_name, receive_in_inbox.message_id, v_agent, receive_in_inbox.message)
  on conflict on constraint inbox_once do nothing
  returning id into v_id;
  if v_id is not null and v_agent is not null then
    perform pg_notify(llmq.inbox_channel(v_agent), v_id::text);
  end if;
end
$$;
comment on function llmq.receive_in_inbox(text, bigint, jsonb) is
$$Default handler of the shared queues: stores the message in llmq.inbox for message.agent_id, or for the agent of message.request_id, and notifies llmq.inbox_channel(agent_id).
queue_name: where it came from.
message_id: its number in pgmq; the same one is stored once.
message: any JSON.$$;
--! EndIncluded worker/receive_in_inbox.sql
--! Included client/read_inbox.sql
create function llmq.read_inbox(agent_id text, max_messages int = 100) returns setof llmq.inbox
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
  if max_messages is null or max_messages not between 1 and 1000 then
    raise exception using errcode = 'LQ001', message = 'max_messages must be between 1 and 1000',
      detail = format('It is %s.', coalesce(max_messages::text, 'null')), hint = 'Leave it out for 100.';
  end if;
  if not llmq.may_use_agent(agent_id) then
    raise exception using errcode = 'LQ005', message = format('agent %s belongs to another role', quote_literal(agent_id)),
      detail = format('The caller is %s.', llmq.caller()), hint = 'See the column owner of llmq.agents.';
  end if;
  return query
  update llmq.inbox as i
  set read_at = clock_timestamp()
  where i.id = any (array(
    select u.id
    from llmq.inbox as u
    where u.agent_id = agent_id and u.read_at is null
    order by u.id
    limit max_messages
    for update skip locked
  ))
  returning i.*;
end
$$;
comment on function llmq.read_inbox(text, int) is
$$Takes an agent's unread messages (job_results, approval_responses, question_responses), oldest first by id, and marks them read in the caller's transaction: a rollback leaves them unread. Two readers at once get different ones.
agent_id: whose.
max_messages: at most this many, 1 to 1000.
Returns: rows of llmq.inbox, in no particular order.
Errors: LQ001, LQ005 not your agent.
Example: select queue_name, message from llmq.read_inbox('support');$$;
--! EndIncluded client/read_inbox.sql
--! Included worker/handle_shared_queue.sql
-- Loop (b): one batch of a shared queue. Reading, handler and archive share a transaction, each message a
-- subtransaction: it is handled exactly once, and one that keeps failing is set aside with its error and
-- never holds up those behind it.
--
-- A handler that hangs is ended by the caller's statement_timeout. That error is caught like any other, but
-- the timer does not start again: the rest of the batch goes back, to be read at once.
create function llmq.handle_shared_queue(queue_name text, max_messages int = 100)
returns table (message_id bigint, outcome text, error text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_queue       llmq.shared_queues;
  v_handler     regprocedure;
  v_message     record;
  v_out_of_time boolean := false;
begin
  select s.* into v_queue from llmq.shared_queues as s where s.queue_name = handle_shared_queue.queue_name and s.enabled;
  -- DROP EXTENSION pgmq leaves the queues' tables behind; pgmq.meta goes with it.
  if not found or to_regclass('pgmq.meta') is null or to_regclass(format('pgmq.%I', 'q_' || lower(queue_name))) is null then
    return;
  end if;
  -- A handler that is not there is the configuration's fault: no message may be set aside for it.
  v_handler := to_regprocedure(v_queue.handler || '(text, bigint, jsonb)');
  if v_handler is null then
    raise exception using errcode = 'LQ001',
      message = format('the handler of the shared queue %s does not exist', quote_literal(queue_name)),
      detail = format('It is %s(text, bigint, jsonb).', v_queue.handler),
      hint = 'Create it, or change llmq.shared_queues.handler. The messages stay where they are.';
  end if;
  for v_message in
    select r.msg_id, r.read_ct, coalesce(r.message, 'null') as message
    from pgmq.read(queue_name, greatest(extract(epoch from v_queue.retry_after)::int, 1), max_messages) as r
    order by r.msg_id
  loop
    if v_out_of_time then
      perform pgmq.set_vt(queue_name, v_message.msg_id, 0);
      continue;
    end if;
    message_id := v_message.msg_id;
    error := null;
    begin
      execute format('select %s($1, $2, $3)', v_handler::regproc) using queue_name, v_message.msg_id, v_message.message;
      perform pgmq.archive(queue_name, v_message.msg_id);
      -- A deferred constraint would fail at the commit, and with this message the batch. So they are tried now, and
      -- what that changed is taken back: which of them are deferred, for the handlers that follow.
      begin
        set constraints all immediate;
        raise exception using errcode = 'TRIAL';
      exception when sqlstate 'TRIAL' then
        null;
      end;
      outcome := 'handled';
    exception
      when query_canceled then
        error := sqlerrm;
        outcome := 'retried';
        v_out_of_time := true;
      when others or assert_failure then
        error := sqlerrm;
        outcome := 'retried';
    end;
    if error is not null and v_message.read_ct >= v_queue.max_reads then
      insert into llmq.set_aside (queue_name, message_id, message, error)
      values (handle_shared_queue.queue_name, v_message.msg_id, v_message.message, error);
      perform pgmq.archive(queue_name, v_message.msg_id);
      outcome := 'set_aside';
    end if;
    return next;
  end loop;
end
$$;
comment on function llmq.handle_shared_queue(text, int) is
$$Reads one batch of a shared queue, gives each message to the queue's handler and archives it, all in the caller's transaction. outcome: handled, retried (read again after retry_after) or set_aside (it failed max_reads times: see llmq.set_aside). No rows when the queue is not enabled or not in pgmq.
queue_name: a row of llmq.shared_queues.
max_messages: the most to read.
Errors: LQ001 the handler does not exist. Set statement_timeout in the calling transaction: a handler that hangs then counts as failed.$$;
--! EndIncluded worker/handle_shared_queue.sql
--! Included worker/read_external_results.sql
-- Answers of external workers, with what their check needs. The check (JSON, schema) is the orchestrator's,
-- as for any answer; the message stays hidden for half a minute while it is done.
--
-- First the messages, then the requests, as statements of their own: in one statement the requests would be
-- seen as of its start, and pgmq.read, which looks later, could bring an answer whose request is not seen yet.
create function llmq.read_external_results(max_messages int = 100)
returns table (
  message_id bigint, read_count int, message jsonb, request_id uuid, claim_id bigint, response_schema jsonb,
  tools jsonb, settings jsonb
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_message record;
  v_wanted  uuid;
begin
  if to_regclass('pgmq.meta') is null or to_regclass('pgmq.q_llm_results') is null
    or not exists (select from llmq.shared_queues as s where s.queue_name = 'llm_results' and s.enabled) then
    return;
  end if;
  for v_message in
    select m.msg_id, m.read_ct, coalesce(m.message, 'null') as message
    from pgmq.read('llm_results', 30, max_messages) as m
    order by m.msg_id
  loop
    v_wanted := case
      when v_message.message ->> 'request_id' ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
        then (v_message.message ->> 'request_id')::uuid
    end;
    message_id := v_message.msg_id;
    read_count := v_message.read_ct;
    -- An answer that came as JSON instead of as text is what its text would be: drivers round long numbers.
    message := case when jsonb_typeof(v_message.message -> 'response') not in ('string', 'null')
      then jsonb_set(v_message.message, '{response}', to_jsonb((v_message.message -> 'response')::text))
      else v_message.message
    end;
    select u.id, u.claim_id into request_id, claim_id
    from (
      select q.id, null as claim_id from llmq.queue as q where q.id = v_wanted
      union all
      select h.id, h.claim_id from llmq.in_flight as h where h.id = v_wanted
    ) as u;
    select r.response_schema::jsonb, r.tools::jsonb, r.settings::jsonb into response_schema, tools, settings
    from llmq.requests as r
    where r.id = request_id;
    return next;
  end loop;
end
$$;
comment on function llmq.read_external_results(int) is
$$Reads answers of external workers from the pgmq queue llm_results ({"request_id", "response"} or {"request_id", "error", "error_type"}), with the schema and tools of their requests. request_id is null when no unfinished request has it. A message is hidden from other readers for 30 seconds: check it and call llmq.settle_external_results().
max_messages: the most to read.$$;
--! EndIncluded worker/read_external_results.sql
--! Included worker/settle_external_results.sql
-- pending or processing -> completed or failed, for answers of external workers; each message is archived
-- with its outcome, in a subtransaction of its own. A message nobody can use is set aside; one whose outcome
-- the database refuses is read again later, and set aside when that keeps happening.
-- Lock order: messages as given, each before its request.
create function llmq.settle_external_results(outcomes jsonb) returns table (message_id bigint, outcome text, error text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_outcome   jsonb;
  v_max_reads int := coalesce((select s.max_reads from llmq.shared_queues as s where s.queue_name = 'llm_results'), 5);
begin
  for v_outcome in select o.item from jsonb_array_elements(outcomes) as o (item) loop
    message_id := (v_outcome ->> 'message_id')::bigint;
    outcome := 'handled';
    error := v_outcome ->> 'set_aside';
    begin
      -- Another orchestrator may have been faster; whoever archives the message settles it.
      if not pgmq.archive('llm_results', message_id) then
        outcome := 'gone';
      elsif error is not null then
        outcome := 'set_aside';
      elsif cardinality(llmq.finish_requests(jsonb_build_array(v_outcome - array['message_id', 'message', 'read_count']))) = 0 then
        outcome := 'set_aside';
        error := 'no unfinished request has this request_id';
      end if;
    exception when others then
      error := sqlerrm;
      outcome := 'retried';
      if (v_outcome ->> 'read_count')::int >= v_max_reads and pgmq.archive('llm_results', message_id) then
        outcome := 'set_aside';
      end if;
    end;
    if outcome = 'set_aside' then
      insert into llmq.set_aside (queue_name, message_id, message, error)
      values ('llm_results', settle_external_results.message_id, v_outcome -> 'message', error);
    end if;
    return next;
  end loop;
end
$$;
comment on function llmq.settle_external_results(jsonb) is
$$Finishes requests that external workers answered and archives their messages. outcome: handled, set_aside, gone (another orchestrator settled it), or retried (error says why the database refused it).
outcomes: [{"message_id", "read_count", "message", "request_id", "claim_id", "status": "completed" | "failed", "response", "parsed_response", "validation_errors", "repairs", "error_type", "error_message", "calls"}], or {"message_id", "message", "set_aside": "why"} for a message nobody can use.$$;
--! EndIncluded worker/settle_external_results.sql

-- Operators
--! Included triggers/compile_entrances.sql
-- Every statement that changes a setting, a route or a model, by function or by hand, compiles all of them
-- again, in its own transaction.
--
-- One at a time: the next one waits for the commit and then sees it, so that the last to commit has compiled
-- everything. Under REPEATABLE READ it cannot see it, and fails on the rows that were deleted meanwhile (40001).
-- Lock order: the configuration's rows, then llmq.entrances. Submits only read and wait for nobody.
create function llmq.compile_entrances() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_agents boolean;
begin
  lock table llmq.entrances in share row exclusive mode;
  v_agents := exists (select from llmq.entrances as e where e.agents)
    or exists (select from llmq.agents as a where a.weight <> 1 or a.owner is not null);
  delete from llmq.entrances;
  insert into llmq.entrances (kind, name, model, lane, max_attempts, pgmq_payload, refuse_above, own_routes, agents)
  select
    e.kind, e.name, e.model, m.lane, s.max_attempts, case when s.pgmq then s.pgmq_payload end, s.refuse_above,
    e.own_routes, v_agents
  from (
    select
      c.complexity as kind, t.task_type as name, r.models[1] as model,
      case when t.task_type = '*' then (select array_agg(distinct w.task_type) from llmq.routes as w where w.task_type <> '*') end as own_routes
    from (select w.task_type from llmq.routes as w union select '*') as t
    cross join (values ('simple'), ('medium'), ('complex')) as c (complexity)
    left join llmq.route_of(c.complexity, t.task_type) as r on true
    union all
    select 'model', n.name, n.name, null
    from (select o.name from llmq.models as o union select 'external') as n
  ) as e
  left join llmq.models as m on m.name = e.model
  cross join (
    select
      max(o.value #>> '{}') filter (where o.name = 'max_attempts')::int as max_attempts,
      bool_or(o.value::boolean) filter (where o.name = 'pgmq') as pgmq,
      max(o.value #>> '{}') filter (where o.name = 'pgmq_payload') as pgmq_payload,
      max(o.value #>> '{}') filter (where o.name = 'refuse_above')::int as refuse_above
    from llmq.settings as o
  ) as s;
  return null;
end
$$;
comment on function llmq.compile_entrances() is 'Trigger: what submits need to know of settings, routes and models, compiled into llmq.entrances.';

create trigger compile_entrances
after insert or update or delete or truncate on llmq.settings
for each statement execute function llmq.compile_entrances();

create trigger compile_entrances
after insert or update or delete or truncate on llmq.routes
for each statement execute function llmq.compile_entrances();

create trigger compile_entrances
after insert or update or delete or truncate on llmq.models
for each statement execute function llmq.compile_entrances();

-- The first agent with a weight or an owner, for good: so whoever configures another agent waits for nobody,
-- and no owner is overlooked because two changed agents at once. The lock is the one that compiling takes, so that
-- a transaction which configures more never has to ask for a stronger one.
create function llmq.announce_agents() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from changed as a where a.weight <> 1 or a.owner is not null)
    and exists (select from llmq.entrances as e where not e.agents)
  then
    lock table llmq.entrances in share row exclusive mode;
    update llmq.entrances set agents = true where not agents;
  end if;
  return null;
end
$$;
comment on function llmq.announce_agents() is 'Trigger: tells submits that there are agents with a weight or an owner.';

create trigger announce_agents_on_insert
after insert on llmq.agents
referencing new table as changed
for each statement execute function llmq.announce_agents();

create trigger announce_agents_on_update
after update on llmq.agents
referencing new table as changed
for each statement execute function llmq.announce_agents();
--! EndIncluded triggers/compile_entrances.sql
--! Included operator/configure_provider.sql
create function llmq.configure_provider(
  name        text,
  kind        text = null,
  base_url    text = null,
  api_key_env text = null,
  options     jsonb = null,
  paused      boolean = null,
  requests_per_minute      int = null,
  input_tokens_per_minute  int = null,
  output_tokens_per_minute int = null,
  tokens_per_minute        int = null,
  max_concurrency          int = null
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
  perform llmq.check_name(name, 'name');
  update llmq.providers as p
  set kind = coalesce(configure_provider.kind, p.kind),
      base_url = coalesce(configure_provider.base_url, p.base_url),
      api_key_env = coalesce(configure_provider.api_key_env, p.api_key_env),
      options = coalesce(configure_provider.options, p.options),
      paused = coalesce(configure_provider.paused, p.paused),
      requests_per_minute = coalesce(configure_provider.requests_per_minute, p.requests_per_minute),
      input_tokens_per_minute = coalesce(configure_provider.input_tokens_per_minute, p.input_tokens_per_minute),
      output_tokens_per_minute = coalesce(configure_provider.output_tokens_per_minute, p.output_tokens_per_minute),
      tokens_per_minute = coalesce(configure_provider.tokens_per_minute, p.tokens_per_minute),
      max_concurrency = coalesce(configure_provider.max_concurrency, p.max_concurrency),
      updated_at = now()
  where p.name = configure_provider.name;
  if not found then
    if kind is null then
      raise exception using errcode = 'LQ001', message = format('provider %s is new and needs a kind', quote_literal(name)),
        hint = 'One of openai, anthropic, google, openai-compatible, external, sim.';
    end if;
    insert into llmq.providers (
      name, kind, base_url, api_key_env, options, paused, requests_per_minute, input_tokens_per_minute,
      output_tokens_per_minute, tokens_per_minute, max_concurrency
    ) values (
      name, kind, base_url, api_key_env, coalesce(options, '{}'), coalesce(paused, false), requests_per_minute,
      input_tokens_per_minute, output_tokens_per_minute, tokens_per_minute, max_concurrency
    );
  end if;
exception when check_violation then
  raise exception using errcode = 'LQ001', message = format('provider %s: %s', quote_literal(name), sqlerrm),
    hint = 'Limits are whole numbers above 0. kind: openai, anthropic, google, openai-compatible (needs base_url), external, sim. base_url: http(s)://.... api_key_env: the name of an environment variable, never a key.';
end
$$;
comment on function llmq.configure_provider(text, text, text, text, jsonb, boolean, int, int, int, int, int) is
$$Adds or changes a provider; an argument left out keeps what is there. To empty a column, update llmq.providers.
name: what models refer to.
kind: openai, anthropic, google, openai-compatible, external or sim; needed for a new one.
base_url: where the API is, http or https; null: the vendor's own address. openai-compatible needs one.
api_key_env: name of the orchestrator's environment variable that holds the key, never the key itself; null: no key is sent.
options: {"headers": {...}}, {"api": "responses"} for openai, {"structured_output": [...]}; replaces the options that are there.
paused: true: no request is claimed for any of its models; they wait.
requests_per_minute: calls begun in any 60 seconds with this key, over all its models and all orchestrators; so are the other limits. They hold beside those of llmq.configure_model.
input_tokens_per_minute: tokens of prompts.
output_tokens_per_minute: tokens of answers.
tokens_per_minute: both together.
max_concurrency: calls in flight at once.
Errors: LQ001.
Example: select llmq.configure_provider('groq', 'openai-compatible', 'https://api.groq.com/openai/v1', 'GROQ_API_KEY');$$;
--! EndIncluded operator/configure_provider.sql
--! Included operator/configure_model.sql
create function llmq.configure_model(
  name                     text,
  provider                 text = null,
  model_id                 text = null,
  requests_per_minute      int = null,
  input_tokens_per_minute  int = null,
  output_tokens_per_minute int = null,
  max_concurrency          int = null,
  context_window           int = null,
  max_output_tokens        int = null,
  options                  jsonb = null,
  paused                   boolean = null,
  tokens_per_minute        int = null
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_lane int;
begin
  perform llmq.check_name(name, 'name');
  if provider is not null and not exists (select from llmq.providers as p where p.name = provider) then
    raise exception using errcode = 'LQ003', message = format('provider %s is not configured', quote_literal(provider)),
      hint = 'Add it with llmq.configure_provider().';
  end if;
  update llmq.models as m
  set provider = coalesce(configure_model.provider, m.provider),
      model_id = coalesce(configure_model.model_id, m.model_id),
      requests_per_minute = coalesce(configure_model.requests_per_minute, m.requests_per_minute),
      input_tokens_per_minute = coalesce(configure_model.input_tokens_per_minute, m.input_tokens_per_minute),
      output_tokens_per_minute = coalesce(configure_model.output_tokens_per_minute, m.output_tokens_per_minute),
      tokens_per_minute = coalesce(configure_model.tokens_per_minute, m.tokens_per_minute),
      max_concurrency = coalesce(configure_model.max_concurrency, m.max_concurrency),
      context_window = coalesce(configure_model.context_window, m.context_window),
      max_output_tokens = coalesce(configure_model.max_output_tokens, m.max_output_tokens),
      options = coalesce(configure_model.options, m.options),
      paused = coalesce(configure_model.paused, m.paused),
      updated_at = now()
  where m.name = configure_model.name;
  if not found then
    if provider is null then
      raise exception using errcode = 'LQ001', message = format('model %s is new and needs a provider', quote_literal(name)),
        hint = 'select llmq.configure_model(''my-model'', ''my-provider'', ''model-id-of-the-provider'');';
    end if;
    insert into llmq.models (
      name, provider, model_id, requests_per_minute, input_tokens_per_minute, output_tokens_per_minute,
      tokens_per_minute, max_concurrency, context_window, max_output_tokens, options, paused
    ) values (
      name, provider, coalesce(model_id, name), requests_per_minute, input_tokens_per_minute, output_tokens_per_minute,
      tokens_per_minute, max_concurrency, context_window, max_output_tokens, coalesce(options, '{}'), coalesce(paused, false)
    ) returning lane into v_lane;
    insert into llmq.lane_marks (lane, priority) values (v_lane, 0) on conflict do nothing;
  end if;
exception when check_violation then
  raise exception using errcode = 'LQ001', message = format('model %s: %s', quote_literal(name), sqlerrm),
    hint = 'Limits are whole numbers above 0; options is an object.';
end
$$;
comment on function llmq.configure_model(text, text, text, int, int, int, int, int, int, jsonb, boolean, int) is
$$Adds or changes a model; an argument left out keeps what is there. To take a limit away, update llmq.models.
name: what routes and the model parameter of a submit refer to.
provider: a row of llmq.providers; needed for a new one.
model_id: what the provider calls it; a new one's default is its name.
requests_per_minute: calls begun in any 60 seconds, over all orchestrators. From 60 on also a tenth of it in any six seconds.
input_tokens_per_minute: tokens of prompts in any 60 seconds, reserved by the prompt's size and corrected by what the provider counted.
output_tokens_per_minute: tokens of answers, reserved by max_tokens or else by the 90th percentile of the model's answers so far.
max_concurrency: calls in flight at once.
context_window: tokens of prompt and answer together. A prompt that is too long goes on to a model of the route with a larger one.
max_output_tokens: tokens. Sent to Anthropic, which demands a limit, unless the request has its own (4096 when neither has one); the ceiling when a cut-off answer is asked for again.
options: laid over the provider's, key by key; replaces the options that are there.
paused: true: no request is claimed for it; they wait. Routes fall back past it.
tokens_per_minute: tokens of prompts and answers together, where the provider counts them so.
Errors: LQ001, LQ003 unknown provider.
Example: select llmq.configure_model('small', 'groq', 'llama-3.1-8b-instant', context_window => 131072);$$;
--! EndIncluded operator/configure_model.sql
--! Included operator/configure_price.sql
create function llmq.configure_price(
  model                    text,
  input_per_million        numeric = null,
  output_per_million       numeric = null,
  cached_input_per_million numeric = null,
  valid_from               timestamptz = null,
  min_input_tokens         int = 0,
  reasoning_per_million    numeric = null,
  utc_from                 time = '00:00',
  utc_until                time = '24:00'
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_from timestamptz := valid_from;
begin
  if not exists (select from llmq.models as m where m.name = model) then
    raise exception using errcode = 'LQ003', message = format('model %s is not configured', coalesce(quote_literal(model), 'null')),
      hint = 'Add it with llmq.configure_model().';
  end if;
  -- Two that configure the same price at once would both find none.
  perform pg_advisory_xact_lock(hashtextextended('llmq.prices', 0));
  if v_from is null then
    select coalesce(max(p.valid_from), '-infinity') into v_from
    from llmq.prices as p
    where p.model = configure_price.model and p.source = 'manual' and p.valid_from <= now()
      and p.utc_from = configure_price.utc_from and p.utc_until = configure_price.utc_until
      and p.min_input_tokens = configure_price.min_input_tokens;
  end if;
  update llmq.prices as p
  set input_per_million = coalesce(configure_price.input_per_million, p.input_per_million),
      output_per_million = coalesce(configure_price.output_per_million, p.output_per_million),
      cached_input_per_million = coalesce(configure_price.cached_input_per_million, p.cached_input_per_million),
      reasoning_per_million = coalesce(configure_price.reasoning_per_million, p.reasoning_per_million),
      updated_at = now()
  where p.model = configure_price.model and p.source = 'manual' and p.valid_from = v_from
    and p.utc_from = configure_price.utc_from and p.utc_until = configure_price.utc_until
    and p.min_input_tokens = configure_price.min_input_tokens;
  if not found then
    if input_per_million is null or output_per_million is null then
      raise exception using errcode = 'LQ001',
        message = format('the price of model %s is new and needs input_per_million and output_per_million', quote_literal(model)),
        hint = 'select llmq.configure_price(''my-model'', 0.25, 2); -- US dollars per million tokens';
    end if;
    insert into llmq.prices (
      model, valid_from, utc_from, utc_until, min_input_tokens, input_per_million, output_per_million,
      cached_input_per_million, reasoning_per_million
    ) values (
      model, v_from, utc_from, utc_until, min_input_tokens, input_per_million, output_per_million,
      cached_input_per_million, reasoning_per_million
    );
  end if;
exception when check_violation or not_null_violation then
  raise exception using errcode = 'LQ001', message = format('price of model %s: %s', quote_literal(model), sqlerrm),
    hint = 'Prices are US dollars per million tokens, 0 or more; min_input_tokens is 0 or more; utc_from is before utc_until.';
end
$$;
comment on function llmq.configure_price(text, numeric, numeric, numeric, timestamptz, int, numeric, time, time) is
$$Sets what a model costs; goes before an imported price. An argument left out keeps what is there. Costs in the ledger stay as they are. To take a price away, delete it from llmq.prices.
model: a name of llmq.models.
input_per_million: US dollars per million input tokens that were not cached; needed for a new price.
output_per_million: US dollars per million output tokens, reasoning included; needed for a new price.
cached_input_per_million: US dollars per million cached input tokens; null: as other input.
valid_from: holds for calls that start then or later; null: changes the price that holds now, or sets one for all time.
min_input_tokens: a tier for long prompts: holds for a whole call whose input has this many tokens or more.
reasoning_per_million: US dollars per million reasoning tokens, where they are not priced as other output.
utc_from: a price for some hours of the day: from then, in UTC.
utc_until: until before then, in UTC; 24:00 is the end of the day.
Errors: LQ001, LQ003 unknown model.
Example: select llmq.configure_price('small', 0.25, 2, cached_input_per_million => 0.025, valid_from => '2027-01-01');$$;
--! EndIncluded operator/configure_price.sql
--! Included operator/import_prices.sql
create function llmq.import_prices(prices jsonb) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_changed int;
begin
  if jsonb_typeof(prices) is distinct from 'array' then
    raise exception using errcode = 'LQ001', message = 'prices must be an array of objects',
      detail = format('It is %s.', coalesce(jsonb_typeof(prices), 'null'));
  end if;
  -- Orchestrators that start together import the same.
  perform pg_advisory_xact_lock(hashtextextended('llmq.prices', 0));
  with given as (
    select
      g.model, coalesce(g.valid_from, '-infinity') as valid_from, coalesce(g.utc_from, '00:00') as utc_from,
      coalesce(g.utc_until, '24:00') as utc_until, coalesce(g.min_input_tokens, 0) as min_input_tokens,
      g.input_per_million, g.output_per_million, g.cached_input_per_million, g.reasoning_per_million
    from jsonb_to_recordset(prices) as g (
      model text, valid_from timestamptz, utc_from time, utc_until time, min_input_tokens int, input_per_million numeric,
      output_per_million numeric, cached_input_per_million numeric, reasoning_per_million numeric
    )
    -- One that was removed since the caller looked.
    join llmq.models as m on m.name = g.model
  ), gone as (
    delete from llmq.prices as p
    where p.source = 'genai-prices' and (p.model, p.valid_from, p.utc_from, p.utc_until, p.min_input_tokens) not in (
      select g.model, g.valid_from, g.utc_from, g.utc_until, g.min_input_tokens from given as g
    )
    returning p.model
  ), written as (
    insert into llmq.prices as p (
      model, source, valid_from, utc_from, utc_until, min_input_tokens, input_per_million, output_per_million,
      cached_input_per_million, reasoning_per_million
    )
    select
      g.model, 'genai-prices', g.valid_from, g.utc_from, g.utc_until, g.min_input_tokens, g.input_per_million,
      g.output_per_million, g.cached_input_per_million, g.reasoning_per_million
    from given as g
    on conflict on constraint prices_pkey do update
    set input_per_million = excluded.input_per_million,
        output_per_million = excluded.output_per_million,
        cached_input_per_million = excluded.cached_input_per_million,
        reasoning_per_million = excluded.reasoning_per_million,
        updated_at = now()
    where (p.input_per_million, p.output_per_million, p.cached_input_per_million, p.reasoning_per_million)
      is distinct from (
        excluded.input_per_million, excluded.output_per_million, excluded.cached_input_per_million,
        excluded.reasoning_per_million
      )
    returning p.model
  )
  select (select count(*) from gone) + (select count(*) from written) into v_changed;
  return v_changed;
exception when data_exception or integrity_constraint_violation or cardinality_violation then
  raise exception using errcode = 'LQ001', message = format('prices: %s', sqlerrm),
    hint = '[{"model", "valid_from", "utc_from", "utc_until", "min_input_tokens", "input_per_million", "output_per_million", "cached_input_per_million", "reasoning_per_million"}, ...]; model and the prices of input and output are needed, and no price may come twice.';
end
$$;
comment on function llmq.import_prices(jsonb) is
$$Replaces all imported prices (source genai-prices) by these, and keeps manual ones; how many rows were added, changed or removed. llmq prices --import calls it with the prices of the package genai-prices.
prices: [{"model", "valid_from", "utc_from", "utc_until", "min_input_tokens", "input_per_million", "output_per_million", "cached_input_per_million", "reasoning_per_million"}, ...] as in llmq.prices; models that are not configured are left out.
Errors: LQ001.$$;
--! EndIncluded operator/import_prices.sql
--! Included operator/configure_route.sql
create function llmq.configure_route(
  complexity     text,
  models         text[] = null,
  task_type      text = '*',
  fallback_after interval = null,
  paused         boolean = null
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_unknown text;
begin
  if complexity is null or complexity not in ('simple', 'medium', 'complex', '*') then
    raise exception using errcode = 'LQ001', message = 'complexity must be simple, medium, complex or *',
      detail = format('It is %s.', coalesce(quote_literal(complexity), 'null'));
  end if;
  perform llmq.check_name(task_type, 'task_type');
  if cardinality(models) = 0 or models is null and not exists (
    select from llmq.routes as r where r.complexity = configure_route.complexity and r.task_type = configure_route.task_type
  ) then
    raise exception using errcode = 'LQ001', message = 'models must name at least one model';
  end if;
  select u.model into v_unknown
  from unnest(models) as u (model)
  where not exists (select from llmq.models as m where m.name = u.model)
  limit 1;
  if found then
    raise exception using errcode = 'LQ003', message = format('model %s is not configured', coalesce(quote_literal(v_unknown), 'null')),
      hint = 'Add it with llmq.configure_model().';
  end if;
  if fallback_after < interval '0' then
    raise exception using errcode = 'LQ001', message = 'fallback_after must not be negative',
      detail = format('It is %s.', fallback_after);
  end if;
  insert into llmq.routes as r (complexity, task_type, models, fallback_after, paused)
  select complexity, task_type, coalesce(models, o.models), fallback_after, coalesce(paused, false)
  from (select 1) as one
  left join llmq.routes as o on o.complexity = configure_route.complexity and o.task_type = configure_route.task_type
  on conflict on constraint routes_pkey do update
  set models = excluded.models,
      fallback_after = coalesce(configure_route.fallback_after, r.fallback_after),
      paused = coalesce(configure_route.paused, r.paused),
      updated_at = now();
end
$$;
comment on function llmq.configure_route(text, text[], text, interval, boolean) is
$$Sets which models answer requests of a complexity and task type. The most specific route wins: task type first, then complexity. An argument left out keeps what is there.
complexity: simple, medium, complex, or * for any.
models: names of llmq.models, best first: a request starts with the first and falls back along the list. A new route needs them.
task_type: a task type, or * for any.
fallback_after: a request that has waited so long for one model goes on to the next; null for a new one: it waits. To take it away, update llmq.routes.
paused: true: nothing is claimed that this route would route; it is held.
Errors: LQ001, LQ003 unknown model.
Example: select llmq.configure_route('simple', array['small', 'large']);$$;
--! EndIncluded operator/configure_route.sql
--! Included operator/configure_agent.sql
create function llmq.configure_agent(
  agent_id         text,
  weight           numeric = null,
  max_concurrency  int = null,
  daily_budget_usd numeric = null,
  owner            name = null,
  paused           boolean = null,
  monthly_budget_usd numeric = null,
  over_budget      text = null
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
  perform llmq.check_name(agent_id, 'agent_id');
  if owner is not null and not exists (select from pg_catalog.pg_roles as r where r.rolname = owner) then
    raise exception using errcode = 'LQ001', message = format('role %s does not exist', quote_ident(owner));
  end if;
  insert into llmq.agents as a (
    agent_id, weight, max_concurrency, daily_budget_usd, owner, paused, monthly_budget_usd, over_budget
  )
  values (
    agent_id, coalesce(weight, 1), max_concurrency, daily_budget_usd, owner, coalesce(paused, false), monthly_budget_usd,
    coalesce(over_budget, 'wait')
  )
  on conflict on constraint agents_pkey do update
  set weight = coalesce(configure_agent.weight, a.weight),
      max_concurrency = coalesce(configure_agent.max_concurrency, a.max_concurrency),
      daily_budget_usd = coalesce(configure_agent.daily_budget_usd, a.daily_budget_usd),
      monthly_budget_usd = coalesce(configure_agent.monthly_budget_usd, a.monthly_budget_usd),
      over_budget = coalesce(configure_agent.over_budget, a.over_budget),
      owner = coalesce(configure_agent.owner, a.owner),
      paused = coalesce(configure_agent.paused, a.paused),
      updated_at = now();
exception when check_violation then
  raise exception using errcode = 'LQ001', message = format('agent %s: %s', quote_literal(agent_id), sqlerrm),
    hint = 'weight: 0.01 to 1000 (default 1). max_concurrency: above 0. daily_budget_usd, monthly_budget_usd: 0 or more. over_budget: wait or fail.';
end
$$;
comment on function llmq.configure_agent(text, numeric, int, numeric, name, boolean, numeric, text) is
$$Adds or changes an agent; an argument left out keeps what is there. To empty a column, update llmq.agents. Agents need no row: without one they have weight 1 and no owner.
agent_id: the agent_id of submits.
weight: 0.01 to 1000, 1 for a new one: its share of a model's starts beside other waiting agents of the same priority.
max_concurrency: its calls in flight at once, over all models and orchestrators; the rest is held.
daily_budget_usd: US dollars per day (UTC) by llmq.prices. An estimate is reserved when a call begins, so that no number of orchestrators overspends it together.
owner: a database role; only its members, llmq_admin and the owner of the schema see or submit this agent's requests.
paused: true: none of its requests is claimed; they are held. Calls in flight go on.
monthly_budget_usd: US dollars per calendar month (UTC), likewise.
over_budget: wait (a new one's default): held until the next day or month; fail: fails with budget_exceeded.
Errors: LQ001.
Example: select llmq.configure_agent('support', weight => 3, owner => 'support_app');$$;
--! EndIncluded operator/configure_agent.sql
--! Included triggers/release_holds.sql
-- Who raises a limit or ends a pause, by function or by hand, expects requests to run at once, not when their
-- agent's turn in the sweep comes.
create function llmq.release_agent_holds() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform llmq.release_held((select array_agg(c.agent_id) from changed as c), 10000);
  perform pg_notify('llmq_wake', '');
  return null;
end
$$;
comment on function llmq.release_agent_holds() is 'Trigger: looks again at what is held because of agents whose limits were changed.';

create trigger release_holds_on_insert
after insert on llmq.agents
referencing new table as changed
for each statement execute function llmq.release_agent_holds();

create trigger release_holds_on_update
after update on llmq.agents
referencing old table as changed
for each statement execute function llmq.release_agent_holds();

create trigger release_holds_on_delete
after delete on llmq.agents
referencing old table as changed
for each statement execute function llmq.release_agent_holds();

create function llmq.release_route_holds() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform llmq.release_llm_holds(1, 10000);
  perform pg_notify('llmq_wake', '');
  return null;
end
$$;
comment on function llmq.release_route_holds() is 'Trigger: looks again at what is held because its route was paused.';

create trigger release_holds
after update or delete on llmq.routes
for each statement execute function llmq.release_route_holds();
--! EndIncluded triggers/release_holds.sql
--! Included operator/recover_lost_llm_requests.sql
-- processing -> pending: rows of workers whose heartbeat stopped, and rows whose worker is gone. The call
-- may have been made and billed: the ledger says lost. The third crash on one request fails it.
--
-- A heartbeat is old by the time this statement came in: what waited here for a lock, or stood still with the server,
-- has kept the heartbeats waiting as well.
create function llmq.recover_lost_llm_requests(max_requests int = 1000) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_dead     uuid[];
  v_failures jsonb;
  v_count    int;
begin
  select array_agg(w.id) into v_dead
  from (
    select w.id from llmq.workers as w
    where w.heartbeat_at < statement_timestamp() - w.lost_after
    for update skip locked
  ) as w;

  select jsonb_agg(jsonb_build_object(
    'request_id', h.id, 'claim_id', h.claim_id, 'error_class', 'lost',
    'error_message', 'the worker that ran it stopped without a word',
    'calls', '[{"outcome": "lost", "error_message": "may have been billed"}]'::jsonb
  )), count(*)
  into v_failures, v_count
  from (
    select f.id, f.claim_id
    from llmq.in_flight as f
    where f.worker_id = any (v_dead)
      or f.started_at < clock_timestamp() - interval '5 seconds'
         and not exists (select from llmq.workers as w where w.id = f.worker_id)
    order by f.id
    limit max_requests
    for update skip locked
  ) as h;

  if v_count > 0 then
    perform llmq.fail_requests(v_failures);
    perform pg_notify('llmq_wake', '');
  end if;
  if v_count < max_requests then
    delete from llmq.cancellations as c where c.worker_id = any (v_dead);
    delete from llmq.workers as w where w.id = any (v_dead);
  end if;
  return v_count;
end
$$;
comment on function llmq.recover_lost_llm_requests(int) is
$$Gives back what dead workers held: those without a heartbeat for their lost_after, and those that are not registered. The ledger says lost; the third crash (setting max_crashes) fails a request. Returns how many requests. llmq.maintain() calls it every second.
max_requests: the most to give back in one call.$$;
--! EndIncluded operator/recover_lost_llm_requests.sql
--! Included operator/expire_llm_requests.sql
-- pending or processing -> failed (deadline_exceeded). A running call gets two more seconds, in which its
-- orchestrator, which keeps the same deadline, reports what happened itself.
create function llmq.expire_llm_requests(max_requests int = 500) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_held llmq.in_flight[];
begin
  select array_agg(h.held) into v_held
  from (
    select u.held
    from (
      select w.held
      from (
        select llmq.unclaimed(q) as held
        from llmq.queue as q
        where q.deadline <= clock_timestamp()
        order by q.deadline
        limit max_requests
        for update skip locked
      ) as w
      union all
      select r.held
      from (
        select f as held
        from llmq.in_flight as f
        where f.deadline <= clock_timestamp() - interval '2 seconds'
        order by f.deadline
        limit max_requests
        for update skip locked
      ) as r
    ) as u
    limit max_requests
  ) as h;
  if v_held is null then
    return 0;
  end if;
  perform llmq.end_unfinished(v_held, 'failed', 'deadline_exceeded', 'The deadline passed before the request was finished', 'deadline');
  return cardinality(v_held);
end
$$;
comment on function llmq.expire_llm_requests(int) is
$$Fails requests whose deadline has passed (deadline_exceeded): waiting ones at once, running ones two seconds later. Returns how many. llmq.maintain() calls it every second.
max_requests: the most to fail in one call.$$;
--! EndIncluded operator/expire_llm_requests.sql
--! Included internal/pass_over.sql
-- pending -> pending in the next lane of its route, without a call. False where the route ends.
create function llmq.pass_over(held llmq.queue, reason text) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_next record;
begin
  select n.step, n.lane into v_next from llmq.next_in_route(llmq.unclaimed(held)) as n;
  if not found then
    return false;
  end if;
  perform llmq.write_attempts(array[llmq.unclaimed(held)], jsonb_build_array(jsonb_build_object(
    'request_id', held.id,
    'calls', jsonb_build_array(jsonb_build_object('outcome', 'passed_over', 'error_message', reason, 'started_at', clock_timestamp()))
  )));
  update llmq.queue as q
  set lane = v_next.lane, route_step = v_next.step, tag = null, run_at = clock_timestamp(), calls = q.calls + 1,
      updated_at = clock_timestamp()
  where q.id = held.id;
  return true;
end
$$;
comment on function llmq.pass_over(llmq.queue, text) is 'Internal: sends a waiting request on to the next model of its route.';
--! EndIncluded internal/pass_over.sql
--! Included operator/fall_back_llm_requests.sql
-- Requests that wait for a model longer than their route allows, or longer than their deadline allows while the
-- model cools down, go on to the next model of the route. Looks at the head of each lane only, which is where
-- the oldest are; a backlog moves in steps.
create function llmq.fall_back_llm_requests(max_requests int = 500) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_least interval := (select min(r.fallback_after) from llmq.routes as r);
  v_mark  record;
  v_row   record;
  v_model record;
  v_late  llmq.queue;
  v_moved int := 0;
begin
  if v_least is not null then
    for v_mark in select m.lane, m.priority, m.scan from llmq.lane_marks as m order by m.lane, m.priority loop
      for v_row in
        select h.held, h.waited
        from (
          select q as held, q.complexity, q.task_type, clock_timestamp() - q.run_at as waited
          from llmq.queue as q
          where q.lane = v_mark.lane and q.priority = v_mark.priority and q.tag is not null
            and q.tag >= v_mark.scan
          order by q.tag
          limit max_requests
          for update skip locked
        ) as h
        where h.waited > v_least and not (h.held).pinned
          and h.waited > (select r.fallback_after from llmq.route_of(h.complexity, h.task_type) as r)
      loop
        v_moved := v_moved + llmq.pass_over(v_row.held, format('waited for %s, longer than the route''s fallback_after', date_trunc('second', v_row.waited)))::int;
      end loop;
    end loop;
  end if;
  for v_model in select s.lane, s.cooling_until from llmq.model_state as s where s.cooling_until > clock_timestamp() order by s.lane loop
    for v_late in
      select q.*
      from llmq.queue as q
      where q.deadline <= v_model.cooling_until and q.lane = v_model.lane and not q.pinned
      order by q.deadline
      limit max_requests
      for update skip locked
    loop
      v_moved := v_moved + llmq.pass_over(v_late, format('cools down until %s, past the deadline', v_model.cooling_until))::int;
    end loop;
  end loop;
  return v_moved;
end
$$;
comment on function llmq.fall_back_llm_requests(int) is
$$Sends requests that wait too long for their model (llmq.routes.fallback_after, or a cool-down beyond their deadline) on to the next model of their route; the ledger says passed_over, and why. Returns how many. llmq.maintain() calls it every second.
max_requests: the most to look at for each lane and priority.$$;
--! EndIncluded operator/fall_back_llm_requests.sql
--! Included operator/age_llm_requests.sql
-- Priority comes first, and nothing starves: a ready request that others of a higher priority have kept waiting
-- climbs by one, and again after as long. Where nothing of a higher priority waits, nothing has to climb.
create function llmq.age_llm_requests(max_requests int = 500) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_after interval := (llmq.setting('ageing') #>> '{}')::interval;
  v_mark  record;
  v_rows  int;
  v_aged  int := 0;
begin
  if v_after is null or v_after <= interval '0' then
    return 0;
  end if;
  for v_mark in
    select m.lane, m.priority, m.scan
    from llmq.lane_marks as m
    where m.priority < 100
      and not exists (select from llmq.model_state as s where s.lane = m.lane and s.cooling_until > clock_timestamp())
      and exists (
        select from llmq.lane_marks as o
        where o.priority > m.priority
          and (
            select 1 from llmq.queue as q
            where q.lane = o.lane and q.priority = o.priority and q.tag is not null and q.tag >= o.scan
            order by q.tag
            limit 1
          ) is not null
      )
    order by m.lane, m.priority
  loop
    insert into llmq.lane_marks (lane, priority) values (v_mark.lane, v_mark.priority + 1) on conflict do nothing;
    update llmq.queue as q
    set priority = q.priority + 1, tag = null, run_at = clock_timestamp(), updated_at = clock_timestamp()
    where q.id = any (array(
      select h.id
      from (
        select b.id, b.run_at
        from llmq.queue as b
        where b.lane = v_mark.lane and b.priority = v_mark.priority and b.tag is not null
          and b.tag >= v_mark.scan
        order by b.tag
        limit max_requests
        for update skip locked
      ) as h
      where h.run_at < clock_timestamp() - v_after
    ));
    get diagnostics v_rows = row_count;
    v_aged := v_aged + v_rows;
  end loop;
  return v_aged;
end
$$;
comment on function llmq.age_llm_requests(int) is
$$Raises requests that waited for the setting ageing behind others of a higher priority by one priority. Returns how many. llmq.maintain() calls it every second.
max_requests: the most to look at for each lane and priority.$$;
--! EndIncluded operator/age_llm_requests.sql
--! Included operator/release_llm_holds.sql
-- The guarantee behind llmq.release_held(): whatever is held and need not be any more is found here within a
-- while: a new day's budget, a finish that did not see what a claim was just holding, a table that was edited.
-- Agents take turns, a hundred a second, so that ten thousand of them over their limits cost next to nothing.
create function llmq.release_llm_holds(max_agents int = 100, max_rows int = 1000) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_after  text := (select s.released_after from llmq.sweep_state as s);
  v_agents text[];
  v_rows   int;
  v_total  int := 0;
begin
  if not exists (select from llmq.queue as q where q.hold is not null) then
    return 0;
  end if;
  with recursive held as (
    select r.reason, (
      select q.agent_id from llmq.queue as q where q.hold = r.reason and q.agent_id > v_after order by q.agent_id limit 1
    ) as agent_id, 1 as place
    from unnest('{agent_paused,agent_concurrency,agent_budget}'::llmq.hold_reason[]) as r (reason)
    union all
    select h.reason, (
      select q.agent_id from llmq.queue as q where q.hold = h.reason and q.agent_id > h.agent_id order by q.agent_id limit 1
    ), h.place + 1
    from held as h
    where h.agent_id is not null and h.place < max_agents
  ),
  turn as (select distinct h.agent_id from held as h where h.agent_id is not null)
  select array_agg(t.agent_id) into v_agents
  from (select t.agent_id from turn as t order by t.agent_id limit max_agents) as t;
  update llmq.sweep_state as s
  set released_after = case when cardinality(v_agents) >= max_agents then v_agents[max_agents] else '' end;
  v_total := coalesce(llmq.release_held(v_agents, max_rows), 0);

  update llmq.queue as q
  set hold = null, run_at = clock_timestamp(), updated_at = clock_timestamp()
  where q.id = any (array(
    select h.id
    from (
      select b.id, b.hold, b.complexity, b.task_type
      from llmq.queue as b
      where b.hold in ('route_paused', 'shared')
      order by b.hold, b.agent_id, b.priority desc, b.id
      limit max_rows
      for update skip locked
    ) as h
    where case h.hold
      when 'shared' then not exists (
        select from llmq.twins as t
        where t.request_id = h.id
          and (exists (select from llmq.queue as l where l.id = t.leader_id) or exists (select from llmq.in_flight as l where l.id = t.leader_id))
      )
      else (select r.paused from llmq.route_of(h.complexity, h.task_type) as r) is not true
    end
  ));
  get diagnostics v_rows = row_count;
  return v_total + v_rows;
end
$$;
comment on function llmq.release_llm_holds(int, int) is
$$Lets held requests wait for a claim again where nothing holds them any more. Returns how many. llmq.maintain() calls it every second.
max_agents: how many agents to look at; the next call goes on behind them.
max_rows: the most for each agent and reason.$$;
--! EndIncluded operator/release_llm_holds.sql
--! Included operator/compact_usage.sql
-- Keeps the ledgers of limits and budgets short, so that their sums stay cheap. Sums replace their rows in one
-- statement: whoever adds up at that moment sees the ones or the others.
create function llmq.compact_usage() returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_meter int;
  v_agent text;
  v_rows  int;
  v_total int;
begin
  delete from llmq.usage as u where u.at < v_now - interval '2 minutes';
  get diagnostics v_total = row_count;
  for v_meter in
    select u.meter from llmq.usage as u where not u.compact group by u.meter having count(*) > 200
  loop
    with taken as (
      delete from llmq.usage as u
      where u.meter = v_meter and not u.compact and u.at < v_now - interval '2 seconds'
      returning u.*
    )
    insert into llmq.usage (meter, at, requests, input_tokens, output_tokens, oldest_start, compact)
    select
      v_meter, max(t.at), sum(t.requests), sum(t.input_tokens), sum(t.output_tokens),
      (array_agg(t.oldest_start order by t.at desc) filter (where t.oldest_start is not null))[1], true
    from taken as t
    group by floor(extract(epoch from t.at) * 2);
    get diagnostics v_rows = row_count;
    v_total := v_total + v_rows;
  end loop;
  for v_agent in
    select u.agent_id from llmq.agent_usage as u
    where not u.compact
    group by u.agent_id
    having count(*) > 100 or min(u.at) < (select max(o.at) from llmq.agent_usage as o where o.agent_id = u.agent_id and o.compact)
  loop
    with taken as (
      delete from llmq.agent_usage as u
      where u.agent_id = v_agent and (u.compact or u.at < v_now - interval '2 seconds')
      returning u.*
    ),
    -- Another day or month begins at 0.
    newest as (select max(t.at) as at, max(t.at) at time zone 'UTC' as utc from taken as t)
    insert into llmq.agent_usage (agent_id, at, usd, usd_of_month, compact)
    select
      v_agent, n.at,
      coalesce(sum(t.usd) filter (where date_trunc('day', t.at at time zone 'UTC') = date_trunc('day', n.utc)), 0),
      coalesce(sum(coalesce(t.usd_of_month, t.usd)) filter (where date_trunc('month', t.at at time zone 'UTC') = date_trunc('month', n.utc)), 0),
      true
    from taken as t
    cross join newest as n
    where n.at is not null
    group by n.at, n.utc;
    get diagnostics v_rows = row_count;
    v_total := v_total + v_rows;
  end loop;
  return v_total;
end
$$;
comment on function llmq.compact_usage() is 'Shortens llmq.usage and llmq.agent_usage without changing their sums. Returns how many rows it touched. llmq.maintain() calls it every second.';
--! EndIncluded operator/compact_usage.sql
--! Included operator/sweep_llm_requests.sql
-- The guarantee behind the marks: ready rows below their lane's mark (their submitter committed late) go
-- back to waiting, and everything that is due and waiting is ranked, however old. Nothing is skipped for ever.
create function llmq.sweep_llm_requests(max_rows int = 500) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_mark record;
  v_rows int;
  v_back int := 0;
begin
  for v_mark in select m.lane, m.priority, m.scan from llmq.lane_marks as m where m.scan > 0 loop
    update llmq.queue as q
    set tag = null, updated_at = clock_timestamp()
    where q.id = any (array(
      select b.id
      from llmq.queue as b
      where b.lane = v_mark.lane and b.priority = v_mark.priority and b.tag is not null
        and b.tag < v_mark.scan
      order by b.tag
      limit max_rows
      for update skip locked
    ));
    get diagnostics v_rows = row_count;
    v_back := v_back + v_rows;
  end loop;
  return v_back + llmq.promote_waiting(max_rows, true);
end
$$;
comment on function llmq.sweep_llm_requests(int) is
$$Finds requests that the claim's low-water marks would miss. Returns how many rows it touched. llmq.maintain() calls it every second.
max_rows: the most for each lane and priority.$$;
--! EndIncluded operator/sweep_llm_requests.sql
--! Included operator/maintain.sql
-- What must happen every second whoever does it: orchestrators all call this, one works.
--
-- When nobody did it for half the time after which a worker is lost, the server or all orchestrators stood still, and
-- every heartbeat is old: so workers have five seconds to say that they live before any is taken for lost. Not less
-- than half: a maintenance that is merely slow must not look like a standstill, and put recovery off each time.
create function llmq.maintain() returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_swept_at     timestamptz;
  v_standstill   interval;
  v_recover_from timestamptz;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('llmq.maintain', 0)) then
    return null;
  end if;
  select s.swept_at into v_swept_at from llmq.sweep_state as s;
  if v_swept_at > clock_timestamp() - interval '900 milliseconds' then
    return null;
  end if;
  v_standstill := greatest((select min(w.lost_after) / 2 from llmq.workers as w), '3 seconds');
  -- A claim whose transaction stays open holds this row: not a reason to leave lost requests where they are.
  update llmq.sweep_state as s
  set swept_at = clock_timestamp(),
    recover_from = case
      when v_swept_at < clock_timestamp() - v_standstill and v_swept_at > '-infinity'
      then clock_timestamp() + interval '5 seconds'
      else s.recover_from
    end
  where s.only_one = any (array(select w.only_one from llmq.sweep_state as w for update skip locked))
  returning s.recover_from into v_recover_from;
  return jsonb_build_object(
    'recovered', case when v_recover_from > clock_timestamp() then 0 else llmq.recover_lost_llm_requests() end,
    'expired', llmq.expire_llm_requests(),
    'fallen_back', llmq.fall_back_llm_requests(),
    'aged', llmq.age_llm_requests(),
    'released', llmq.release_llm_holds(),
    'compacted', llmq.compact_usage(),
    'swept', llmq.sweep_llm_requests()
  );
end
$$;
comment on function llmq.maintain() is
$$What must happen every second, whoever does it: recover lost requests, fail expired ones, send those that waited too long to their next model, raise those that starve, release what is held no more, sweep. Every orchestrator calls it, one works.
Returns: {"recovered", "expired", "fallen_back", "aged", "released", "compacted", "swept"}, or null when another process did it within the last second.$$;
--! EndIncluded operator/maintain.sql
--! Included internal/make_partition.sql
-- Rows of that week which already sit in the default partition move along: nothing is ever refused or lost
-- because a partition came late. The default partition is locked before its rows move: one that came in
-- between would refuse the new partition. Dynamic SQL, since the name is the data.
create function llmq.make_partition(parent text, partition_name text, from_id uuid, to_id uuid) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key text := case parent when 'attempts' then 'request_id' else 'id' end;
begin
  -- A submit that already chose the default partition for its row would be refused once this one is attached.
  -- So writers of the table are waited for, and then wait; for weeks to come there are none.
  if from_id <= llmq.uuid_v7_floor(clock_timestamp() + interval '1 hour') then
    execute format('lock table llmq.%I in share row exclusive mode', parent);
  end if;
  execute format('lock table llmq.%I in access exclusive mode', parent || '_default');
  execute format('create table llmq.%I (like llmq.%I including defaults including constraints including storage including compression)', partition_name, parent);
  execute format(
    'with moved as (delete from llmq.%I where %I >= %L and %I < %L returning *) insert into llmq.%I select * from moved',
    parent || '_default', v_key, from_id, v_key, to_id, partition_name
  );
  execute format('alter table llmq.%I attach partition llmq.%I for values from (%L) to (%L)', parent, partition_name, from_id, to_id);
end
$$;
comment on function llmq.make_partition(text, text, uuid, uuid) is 'Internal: one weekly partition, with the rows of its week that were in the default partition.';
--! EndIncluded internal/make_partition.sql
--! Included operator/ensure_partitions.sql
-- Weekly partitions of requests, results and attempts, from this week to `ahead`. Weeks, not days: every
-- partition costs planning time, and 90 days are 14 of them. A week is 168 hours here: seven days would be
-- an hour more or less when the session's time zone changes its clocks.
--
-- Attaching a partition locks the default partition against everybody. Behind a long reader (pg_dump) it would
-- wait, and every submit would wait behind it: so it gives up soon. Partitions are made weeks ahead.
create function llmq.ensure_partitions(ahead interval = '4 weeks') returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '700ms'
as $$
declare
  v_week    timestamptz := date_trunc('week', now() at time zone 'UTC') at time zone 'UTC';
  v_parent  text;
  v_name    text;
  v_made    int := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('llmq.ensure_partitions', 0));
  while v_week <= now() + ahead loop
    foreach v_parent in array array['requests', 'results', 'attempts'] loop
      v_name := format('%s_%s', v_parent, to_char(v_week at time zone 'UTC', 'YYYYMMDD'));
      if to_regclass(format('llmq.%I', v_name)) is null then
        begin
          perform llmq.make_partition(v_parent, v_name, llmq.uuid_v7_floor(v_week), llmq.uuid_v7_floor(v_week + interval '168 hours'));
        exception when lock_not_available then
          raise warning 'llmq: partition % was not made, somebody uses the table for long; the next call tries again', v_name;
          return v_made;
        end;
        v_made := v_made + 1;
      end if;
    end loop;
    v_week := v_week + interval '168 hours';
  end loop;
  return v_made;
end
$$;
comment on function llmq.ensure_partitions(interval) is
$$Makes the weekly partitions (Monday to Sunday, UTC) of requests, results and attempts that are missing; returns how many. llmq migrate calls it, and every orchestrator at its start and every hour. Rows of a week without a partition go to the default partitions, and move when theirs is made.
ahead: up to now plus this.$$;
--! EndIncluded operator/ensure_partitions.sql
--! Included internal/weeks_before.sql
create function llmq.weeks_before(before timestamptz) returns table (suffix text, from_id uuid, to_id uuid)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select w.suffix, llmq.uuid_v7_floor(w.week), llmq.uuid_v7_floor(w.week + interval '168 hours')
  from (
    select s.suffix, to_timestamp(s.suffix || ' 00:00:00+00', 'YYYYMMDD HH24:MI:SSTZH') as week
    from (
      select substr(c.relname, length('results_') + 1) as suffix
      from pg_catalog.pg_inherits as i
      join pg_catalog.pg_class as c on c.oid = i.inhrelid
      where i.inhparent = 'llmq.results'::regclass
    ) as s
    where s.suffix ~ '^\d{8}$'
  ) as w
  where w.week + interval '168 hours' <= before
  order by w.week
$$;
comment on function llmq.weeks_before(timestamptz) is 'Internal: weekly partitions that end before a moment.';
--! EndIncluded internal/weeks_before.sql
--! Included internal/has_results_since.sql
create function llmq.has_results_since(suffix text, since timestamptz) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_found boolean;
begin
  execute format('select exists (select from llmq.%I as f where f.finished_at >= $1)', 'results_' || suffix) into v_found using since;
  return v_found;
end
$$;
comment on function llmq.has_results_since(text, timestamptz) is 'Internal: whether a weekly partition holds requests that finished after a moment.';
--! EndIncluded internal/has_results_since.sql
--! Included internal/drop_week.sql
-- Lock order: results, requests, attempts, as they were created; given up after lock_timeout of the caller.
create function llmq.drop_week(suffix text, from_id uuid, to_id uuid, finished_before timestamptz) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_rows bigint;
begin
  if exists (select from llmq.queue as q where q.id >= from_id and q.id < to_id)
    or exists (select from llmq.in_flight as h where h.id >= from_id and h.id < to_id)
    or llmq.has_results_since(suffix, finished_before) then
    return null;
  end if;
  execute format('lock table llmq.%I, llmq.%I, llmq.%I in access exclusive mode', 'results_' || suffix, 'requests_' || suffix, 'attempts_' || suffix);
  if exists (select from llmq.queue as q where q.id >= from_id and q.id < to_id)
    or exists (select from llmq.in_flight as h where h.id >= from_id and h.id < to_id)
    or llmq.has_results_since(suffix, finished_before) then
    return null;
  end if;
  execute format('select count(*) from llmq.%I', 'results_' || suffix) into v_rows;
  execute format('drop table llmq.%I, llmq.%I, llmq.%I', 'results_' || suffix, 'requests_' || suffix, 'attempts_' || suffix);
  return v_rows;
exception when lock_not_available then
  raise warning 'llmq: the week % was not removed, somebody uses it; the next call tries again', suffix;
  return null;
end
$$;
comment on function llmq.drop_week(text, uuid, uuid, timestamptz) is 'Internal: drops one weekly partition of each table if all its requests finished before a moment; how many, or null when it was kept.';
--! EndIncluded internal/drop_week.sql
--! Included internal/cleanup_messages.sql
-- What requests leave behind elsewhere: archived pgmq copies and read messages of the inbox. Unread ones, and
-- what was set aside, are somebody's to look at and stay.
create function llmq.cleanup_messages(before timestamptz, max_rows int) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from llmq.inbox as i
  where i.id = any (array(select o.id from llmq.inbox as o where o.read_at < before order by o.id limit max_rows));
  if llmq.pgmq_ready() then
    delete from pgmq.a_llm_requests as a
    where a.msg_id = any (array(
      select o.msg_id from pgmq.a_llm_requests as o where o.archived_at < before order by o.msg_id limit max_rows
    ));
  end if;
end
$$;
comment on function llmq.cleanup_messages(timestamptz, int) is 'Internal: removes archived copies and read inbox messages older than a moment, at most max_rows of each.';
--! EndIncluded internal/cleanup_messages.sql
--! Included operator/cleanup_llm_requests.sql
-- Retention. A week whose every request finished before the limit is dropped as a table; what remains of
-- other weeks is deleted in batches, oldest first. Requests that are not finished are never touched.
--
-- A drop needs the table for itself. Behind a long reader (pg_dump) it would wait, and everybody behind it: so
-- it gives up soon, and the next call tries again. It looks once more under the lock: a request of that week
-- may have been retried meanwhile.
create function llmq.cleanup_llm_requests(retention interval = null, max_rows int = 10000) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '700ms'
as $$
declare
  v_limit   timestamptz := clock_timestamp() - coalesce(retention, (llmq.setting('retention_days'))::int * interval '1 day');
  v_week    record;
  v_ids     uuid[];
  v_rows    bigint;
  v_removed bigint := 0;
begin
  if retention < interval '0' or max_rows < 1 then
    raise exception using errcode = 'LQ001', message = 'retention must not be negative and max_rows must be at least 1';
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('llmq.cleanup_llm_requests', 0)) then
    return 0;
  end if;
  for v_week in select w.* from llmq.weeks_before(v_limit) as w loop
    v_rows := llmq.drop_week(v_week.suffix, v_week.from_id, v_week.to_id, v_limit);
    continue when v_rows is null;
    delete from llmq.idempotency_keys as k where k.request_id >= v_week.from_id and k.request_id < v_week.to_id;
    delete from llmq.tool_results as t where t.request_id >= v_week.from_id and t.request_id < v_week.to_id;
    v_removed := v_removed + v_rows;
  end loop;

  with old as (
    delete from llmq.results as f
    where f.id = any (array(
      -- One that is being retried at this moment is not waited for.
      select o.id from llmq.results as o where o.finished_at < v_limit order by o.finished_at limit max_rows
      for update skip locked
    ))
    returning f.id
  )
  select array_agg(o.id) into v_ids from old as o;
  delete from llmq.requests as r where r.id = any (v_ids);
  delete from llmq.attempts as a where a.request_id = any (v_ids);
  delete from llmq.idempotency_keys as k where k.request_id = any (v_ids);
  delete from llmq.tool_results as t where t.request_id = any (v_ids);
  perform llmq.cleanup_messages(v_limit, max_rows);
  return v_removed + coalesce(cardinality(v_ids), 0);
end
$$;
comment on function llmq.cleanup_llm_requests(interval, int) is
$$Removes finished requests older than the retention: whole weeks by DROP, the rest by DELETE. Returns how many requests; call again until it returns 0. Every orchestrator calls it at its start and every hour, with SHARED_QUEUE_RETENTION_DAYS.
retention: since they finished; null: the setting retention_days.
max_rows: the most to DELETE in one call.
Errors: LQ001.
Example: select llmq.cleanup_llm_requests('30 days');$$;
--! EndIncluded operator/cleanup_llm_requests.sql
--! Included operator/enable_pgmq.sql
create function llmq.enable_pgmq() returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_queue text;
begin
  if to_regclass('pgmq.meta') is null then
    raise exception using errcode = 'LQ006', message = 'the extension pgmq is not installed in this database',
      hint = 'create extension pgmq; then call this again. Everything but the copies and the shared queues works without it.';
  end if;
  foreach v_queue in array array['llm_requests', 'llm_results', 'job_results', 'approval_responses', 'question_responses'] loop
    if to_regclass(format('pgmq.%I', 'q_' || v_queue)) is null then
      perform pgmq.create(v_queue);
    end if;
  end loop;
  update llmq.settings as s set value = 'true' where s.name = 'pgmq';
  return true;
end
$$;
comment on function llmq.enable_pgmq() is
$$Makes the pgmq queues llm_requests, llm_results, job_results, approval_responses and question_responses where they are missing, and turns the copy of every request to llm_requests on (setting pgmq). llmq migrate calls it when the extension is installed. Returns true.
Errors: LQ006 the extension pgmq is not installed.$$;
--! EndIncluded operator/enable_pgmq.sql
--! Included operator/schema_version.sql
create function llmq.schema_version() returns int
language sql immutable parallel safe
as $$ select 1 $$;
comment on function llmq.schema_version() is
$$Version of this schema. Orchestrators start only on the version they were written for.$$;
--! EndIncluded operator/schema_version.sql

-- Views for people
--! Included views/queue_depth.sql
create view llmq.queue_depth as
select
  q.status,
  (select m.name from llmq.models as m where m.lane = q.lane) as model,
  q.priority,
  count(*) as requests,
  min(q.created_at) as oldest_created_at,
  clock_timestamp() - min(q.created_at) as oldest_age,
  q.hold as held,
  count(*) filter (where q.run_at <= clock_timestamp()) as due,
  clock_timestamp() - min(q.run_at) filter (where q.run_at <= clock_timestamp()) as oldest_due_age
from (
  select 'pending' as status, w.lane, w.priority::smallint as priority, w.hold::text as hold, w.created_at, w.run_at from llmq.queue as w
  union all
  select 'processing', f.lane, f.priority::smallint, null, f.created_at, f.run_at from llmq.in_flight as f
) as q
group by q.status, q.lane, q.priority, q.hold;
comment on view llmq.queue_depth is
  'How much is waiting or running, per status, model, priority and what holds it, and how old is the oldest? Counts every unfinished request: no prompts, but a million take a fraction of a second.';
comment on column llmq.queue_depth.held is 'agent_paused, agent_concurrency, agent_budget, route_paused or shared (an identical request is in flight); null: nothing holds them.';
comment on column llmq.queue_depth.oldest_age is 'Since it was submitted; it may have been meant for later.';
comment on column llmq.queue_depth.due is 'How many of them could run now, by their run_at.';
comment on column llmq.queue_depth.oldest_due_age is 'For how long the oldest could have run: the one to watch.';
--! EndIncluded views/queue_depth.sql
--! Included views/queue_by_agent.sql
create view llmq.queue_by_agent as
select
  q.agent_id,
  count(*) filter (where q.status = 'pending') as pending,
  count(*) filter (where q.hold is not null) as held,
  count(*) filter (where q.status = 'processing') as processing,
  min(q.created_at) as oldest_created_at,
  clock_timestamp() - min(q.created_at) as oldest_age
from (
  select 'pending' as status, w.agent_id, w.hold::text as hold, w.created_at from llmq.queue as w
  union all
  select 'processing', f.agent_id, null, f.created_at from llmq.in_flight as f
) as q
where q.agent_id <> all ((select llmq.hidden_agents())::text[])
group by q.agent_id;
comment on view llmq.queue_by_agent is 'Whose requests are waiting and running, and how old is the oldest of each agent?';
comment on column llmq.queue_by_agent.held is 'Of the pending ones: kept back by a pause, a limit or a budget (llmq.queue_depth says which).';
--! EndIncluded views/queue_by_agent.sql
--! Included internal/find_stuck_requests.sql
-- What should have moved and did not. Waiting is normal, so is a long call: only what nobody would expect counts.
-- A reason takes a millisecond or so to find; hence the hundred oldest.
create function llmq.find_stuck_requests() returns table (
  id uuid, agent_id text, task_type text, model text, priority smallint, status text, since timestamptz, why text
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now    timestamptz := clock_timestamp();
  v_hidden text[] := llmq.hidden_agents();
  -- One claim may ask, ask again, and still wait for the next batch of outcomes.
  v_calls  double precision := 2 + coalesce((select o.value from llmq.settings as o where o.name = 'validation_retries')::text::int, 1);
  v_call   double precision := coalesce((select o.value from llmq.settings as o where o.name = 'call_timeout')::text::double precision, 600);
  v_held   llmq.in_flight;
  v_queue  llmq.queue;
  v_worker record;
begin
  for v_held in
    select q.*
    from llmq.in_flight as q
    where q.agent_id <> all (v_hidden)
      and (
        not exists (select from llmq.workers as w where w.id = q.worker_id and w.heartbeat_at > v_now - 2 * w.lost_after)
        or q.started_at < v_now - interval '1 second' * v_calls * greatest(v_call, (
          select (r.settings ->> 'timeout')::double precision
          from llmq.requests as r
          where r.id = q.id and q.started_at < v_now - v_calls * v_call * interval '1 second'
        ))
      )
    order by q.started_at
    limit 100
  loop
    select w.name, w.heartbeat_at, w.heartbeat_at > v_now - 2 * w.lost_after as alive into v_worker
    from llmq.workers as w where w.id = v_held.worker_id;
    since := v_held.started_at;
    why := case
      when v_worker.alive then format('Worker %s has had it since %s, longer than its calls may take.', v_worker.name, v_held.started_at)
      when v_worker.name is not null then format('Worker %s has not been heard of since %s, and nobody has given back what it held: is any orchestrator alive?', v_worker.name, v_worker.heartbeat_at)
      else format('Worker %s is gone, and nobody has given back what it held: is any orchestrator alive?', v_held.worker_id)
    end;
    select v_held.id, v_held.agent_id, v_held.task_type, m.name, v_held.priority, 'processing'
    into id, agent_id, task_type, model, priority, status
    from (select) as o left join llmq.models as m on m.lane = v_held.lane;
    return next;
  end loop;

  for v_queue in
    select q.*
    from llmq.queue as q
    where q.run_at < v_now - interval '10 minutes' and q.agent_id <> all (v_hidden)
    order by q.id
    limit 100
  loop
    since := v_queue.run_at;
    why := llmq.why_waiting(v_queue, llmq.requests_ahead(v_queue));
    select v_queue.id, v_queue.agent_id, v_queue.task_type, m.name, v_queue.priority, 'pending'
    into id, agent_id, task_type, model, priority, status
    from (select) as o left join llmq.models as m on m.lane = v_queue.lane;
    return next;
  end loop;
end
$$;
comment on function llmq.find_stuck_requests() is 'Internal: the rows of the view llmq.stuck_requests.';
--! EndIncluded internal/find_stuck_requests.sql
--! Included views/stuck_requests.sql
create view llmq.stuck_requests as
select
  s.id, s.agent_id, s.task_type, s.model, s.priority, s.status, s.since, clock_timestamp() - s.since as stuck_for, s.why
from llmq.find_stuck_requests() as s;
comment on view llmq.stuck_requests is
  'What has been waiting or running far longer than it should, and why? Pending ones that could have run ten minutes ago, and running ones whose worker is gone or whose calls should have ended: the hundred oldest of each.';
comment on column llmq.stuck_requests.since is 'When it could have run (its run_at), or when its claim began.';
comment on column llmq.stuck_requests.why is 'What stands in its way, in one sentence; llmq.explain_llm_request(id) has more.';
--! EndIncluded views/stuck_requests.sql
--! Included views/requests_by_minute.sql
create view llmq.requests_by_minute as
with ended as materialized (
  select f.started_at, date_trunc('minute', f.finished_at) as minute, f.status, f.input_tokens, f.output_tokens, f.cost_usd
  from llmq.results as f
  where f.finished_at >= date_trunc('minute', now()) - interval '179 minutes'
)
select
  t.time,
  coalesce(b.requests, 0) as submitted,
  coalesce(s.requests, 0) as started,
  coalesce(e.finished, 0) as finished,
  coalesce(e.completed, 0) as completed,
  coalesce(e.failed, 0) as failed,
  coalesce(e.input_tokens, 0) as input_tokens,
  coalesce(e.output_tokens, 0) as output_tokens,
  coalesce(e.cost_usd, 0) as cost_usd
from generate_series(
  date_trunc('minute', now()) - interval '179 minutes', date_trunc('minute', now()), interval '1 minute'
) as t (time)
left join (
  select date_trunc('minute', llmq.uuid_v7_time(r.id)) as minute, count(*) as requests
  from llmq.requests as r
  where r.id >= llmq.uuid_v7_floor(date_trunc('minute', now()) - interval '179 minutes')
  group by 1
) as b on b.minute = t.time
left join (
  select date_trunc('minute', u.started_at) as minute, count(*) as requests
  from (
    select o.started_at from ended as o
    union all
    select f.started_at from llmq.in_flight as f
  ) as u
  group by 1
) as s on s.minute = t.time
left join (
  select
    n.minute, count(*) as finished, count(*) filter (where n.status = 'completed') as completed,
    count(*) filter (where n.status = 'failed') as failed, sum(n.input_tokens) as input_tokens,
    sum(n.output_tokens) as output_tokens, sum(n.cost_usd) as cost_usd
  from ended as n
  group by n.minute
) as e on e.minute = t.time;
comment on view llmq.requests_by_minute is
  'How did load, throughput and cost go in the last three hours? One row per minute, also of those in which nothing happened; the last one is not over yet. In Grafana: select * from llmq.requests_by_minute order by time, as a time series.';
comment on column llmq.requests_by_minute.started is 'By the last claim of each request: one that waits for another try is counted when it starts again.';
comment on column llmq.requests_by_minute.finished is 'Completed, failed or cancelled.';
comment on column llmq.requests_by_minute.input_tokens is 'Of requests that finished in this minute, over all their calls; so are output_tokens and cost_usd.';
--! EndIncluded views/requests_by_minute.sql
--! Included views/completed_last_hour.sql
create view llmq.completed_last_hour as
select
  f.agent_id, f.model, count(*) as completed, sum(f.input_tokens) as input_tokens, sum(f.output_tokens) as output_tokens,
  sum(f.cost_usd) as cost_usd, max(f.finished_at) as last_at
from llmq.results as f
where f.finished_at > now() - interval '1 hour'
  and f.status = 'completed'
  and f.agent_id <> all ((select llmq.hidden_agents())::text[])
group by f.agent_id, f.model;
comment on view llmq.completed_last_hour is 'What was completed in the last hour, per agent and the model that answered?';
comment on column llmq.completed_last_hour.input_tokens is 'Sums over all calls of these requests, failed ones included.';
--! EndIncluded views/completed_last_hour.sql
--! Included views/agent_success_rate.sql
-- One look at the week serves all three rows: what finished within the hour counts in the day and the week too.
create view llmq.agent_success_rate as
select
  g.agent_id,
  p.period,
  sum(g.requests)::bigint as total,
  coalesce(sum(g.requests) filter (where g.status = 'completed'), 0)::bigint as completed,
  coalesce(sum(g.requests) filter (where g.status = 'failed'), 0)::bigint as failed,
  coalesce(sum(g.requests) filter (where g.status = 'cancelled'), 0)::bigint as cancelled,
  round(
    coalesce(sum(g.requests) filter (where g.status = 'completed'), 0)
      / nullif(sum(g.requests) filter (where g.status <> 'cancelled'), 0),
    4
  ) as rate
from (
  select
    f.agent_id, f.status,
    case
      when f.finished_at > now() - interval '1 hour' then interval '1 hour'
      when f.finished_at > now() - interval '1 day' then interval '1 day'
      else interval '7 days'
    end as within,
    count(*) as requests
  from llmq.results as f
  where f.finished_at > now() - interval '7 days' and f.agent_id <> all ((select llmq.hidden_agents())::text[])
  group by 1, 2, 3
) as g
join (values (interval '1 hour'), (interval '1 day'), (interval '7 days')) as p (period) on g.within <= p.period
group by g.agent_id, p.period;
comment on view llmq.agent_success_rate is
  'How often did each agent''s requests succeed, in the last hour, day and week? One row per agent and period in which something of it finished.';
comment on column llmq.agent_success_rate.period is '1 hour, 1 day or 7 days, up to now: where period = ''1 day''.';
comment on column llmq.agent_success_rate.total is 'Finished in any way.';
comment on column llmq.agent_success_rate.rate is 'Completed of those that completed or failed, 0 to 1; null when all were cancelled.';
--! EndIncluded views/agent_success_rate.sql
--! Included views/recent_failures.sql
create view llmq.recent_failures as
select
  f.id, f.finished_at, f.agent_id, f.task_type, f.model, f.error_type,
  case when f.agent_id <> all ((select llmq.hidden_agents())::text[]) then f.error_message end as error_message,
  f.attempts, f.calls
from llmq.results as f
where f.status = 'failed'
  and f.finished_at > now() - interval '24 hours'
  and f.agent_id <> all ((select llmq.hidden_agents())::text[]);
comment on view llmq.recent_failures is 'Which requests failed in the last 24 hours, and why? Add order by finished_at desc.';
comment on column llmq.recent_failures.attempts is 'Failures that counted.';
comment on column llmq.recent_failures.calls is 'Calls made: rows of llmq.attempts.';
--! EndIncluded views/recent_failures.sql
--! Included views/validation_failures.sql
create view llmq.validation_failures as
select
  f.id, f.finished_at, f.agent_id, f.task_type, f.model,
  e.error ->> 'type' as type, e.error ->> 'field' as field, coalesce(e.error ->> 'message', e.error ->> 'error') as message,
  (e.error ->> 'position')::int as position
from llmq.results as f
cross join lateral jsonb_array_elements(
  case when f.agent_id <> all ((select llmq.hidden_agents())::text[]) then f.validation_errors end
) as e (error)
where f.status = 'failed' and f.finished_at > now() - interval '24 hours';
comment on view llmq.validation_failures is 'What was wrong with answers that did not parse or did not fit their schema, in the last 24 hours? One row per error.';
comment on column llmq.validation_failures.type is 'json_decode_error or schema_violation.';
comment on column llmq.validation_failures.field is 'Where in the answer: tool_calls[0].params; null when it is no JSON.';
comment on column llmq.validation_failures.position is 'Character at which it stopped being JSON.';
--! EndIncluded views/validation_failures.sql
--! Included views/latency_by_model.sql
create view llmq.latency_by_model as
select
  r.model, r.requests,
  round(r.queue[1]::numeric, 3) as queue_p50, round(r.queue[2]::numeric, 3) as queue_p95, round(r.queue[3]::numeric, 3) as queue_p99,
  round(a.first_byte[1]::numeric, 3) as first_byte_p50, round(a.first_byte[2]::numeric, 3) as first_byte_p95, round(a.first_byte[3]::numeric, 3) as first_byte_p99,
  round(a.call[1]::numeric, 3) as call_p50, round(a.call[2]::numeric, 3) as call_p95, round(a.call[3]::numeric, 3) as call_p99,
  round(r.total[1]::numeric, 3) as total_p50, round(r.total[2]::numeric, 3) as total_p95, round(r.total[3]::numeric, 3) as total_p99
from (
  select
    f.model, count(*) as requests,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (
      order by extract(epoch from f.started_at - greatest(f.created_at, f.run_at))::double precision
    ) as queue,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (
      order by extract(epoch from f.finished_at - f.created_at)::double precision
    ) as total
  from llmq.results as f
  where f.finished_at > now() - interval '1 hour' and f.status = 'completed' and f.model is not null
  group by f.model
) as r
left join (
  select
    c.model,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (order by c.first_byte_ms / 1000.0::double precision) as first_byte,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (order by c.latency_ms / 1000.0::double precision) as call
  from llmq.attempts as c
  where c.request_id >= llmq.uuid_v7_floor(now() - interval '2 hours')
    and c.finished_at > now() - interval '1 hour'
    and c.outcome = 'answered'
  group by c.model
) as a on a.model = r.model;
comment on view llmq.latency_by_model is
  'How fast were the answers of each model in the last hour? Medians, 95th and 99th percentiles, in seconds. Calls of requests that were submitted more than two hours ago are left out.';
comment on column llmq.latency_by_model.queue_p50 is 'From when a request could run (its run_at) to its last claim.';
comment on column llmq.latency_by_model.first_byte_p50 is 'From the start of a call to the first byte of its answer.';
comment on column llmq.latency_by_model.call_p50 is 'From the start of a call to the end of its answer.';
comment on column llmq.latency_by_model.total_p50 is 'From the submit to the stored answer, with delays, earlier attempts and re-asks.';
--! EndIncluded views/latency_by_model.sql
--! Included views/tool_calls.sql
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
--! EndIncluded views/tool_calls.sql
--! Included views/tool_call_counts.sql
create view llmq.tool_call_counts as
select
  c.tool_name, c.agent_id, c.model, count(*) as calls, count(distinct c.request_id) as requests, max(c.finished_at) as last_at
from llmq.tool_calls as c
group by c.tool_name, c.agent_id, c.model;
comment on view llmq.tool_call_counts is 'How often was each tool called in the last 24 hours, for which agents and by which models?';
comment on column llmq.tool_call_counts.requests is 'Answers with at least one such call.';
--! EndIncluded views/tool_call_counts.sql
--! Included views/provider_outages.sql
create view llmq.provider_outages as
select
  a.provider, a.model, a.outcome, count(*) as calls, min(a.finished_at) as first_at, max(a.finished_at) as last_at,
  (array_agg(a.error_message order by a.finished_at desc))[1] as last_error,
  (select s.cooling_until from llmq.models as m join llmq.model_state as s on s.lane = m.lane where m.name = a.model and s.cooling_until > now()) as cooling_until
from llmq.attempts as a
where a.finished_at > now() - interval '24 hours'
  and a.outcome in ('transient', 'capacity', 'out_of_quota', 'configuration')
group by a.provider, a.model, a.outcome;
comment on view llmq.provider_outages is 'Which providers and models were down, limited or misconfigured in the last 24 hours? Counts calls.';
comment on column llmq.provider_outages.outcome is 'transient, capacity, out_of_quota or configuration.';
comment on column llmq.provider_outages.cooling_until is 'No call of this model before then; null: it is called.';
--! EndIncluded views/provider_outages.sql
--! Included views/limit_use.sql
create view llmq.limit_use as
select
  m.kind, m.name, l.limit_name, l.value, greatest(l.used, 0) as used, round(greatest(l.used, 0)::numeric / l.value, 4) as ratio
from (
  -- A provider has one meter, and a row of lane_meters per model.
  select distinct on (o.meter) o.* from llmq.lane_meters as o order by o.meter
) as m
cross join lateral llmq.meter_use(m.meter, m.lanes, clock_timestamp()) as u
cross join lateral (values
  ('requests_per_minute', m.requests_per_minute::bigint, u.requests),
  ('input_tokens_per_minute', m.input_tokens_per_minute::bigint, u.input_tokens),
  ('output_tokens_per_minute', m.output_tokens_per_minute::bigint, u.output_tokens),
  ('tokens_per_minute', m.tokens_per_minute::bigint, u.input_tokens + u.output_tokens),
  ('max_concurrency', m.max_concurrency::bigint, u.in_flight)
) as l (limit_name, value, used)
where l.value is not null;
comment on view llmq.limit_use is 'How much of each limit of models and providers is used at this moment? One row per limit that is set.';
comment on column llmq.limit_use.kind is 'model or provider: whose limit it is.';
comment on column llmq.limit_use.limit_name is 'The column of llmq.models or llmq.providers: requests_per_minute, input_tokens_per_minute, output_tokens_per_minute, tokens_per_minute, max_concurrency.';
comment on column llmq.limit_use.value is 'The limit; for max_concurrency of a model that recovers, what it admits meanwhile.';
comment on column llmq.limit_use.used is 'In the last 61 seconds, with what is reserved for calls in flight; for max_concurrency: in flight.';
comment on column llmq.limit_use.ratio is 'used of value; above 1 where a single request is larger than the limit.';
--! EndIncluded views/limit_use.sql
--! Included views/provider_health.sql
create view llmq.provider_health as
select
  m.name as model,
  m.provider,
  h.breaker,
  s.cooling_until,
  case when h.breaker <> 'closed' then s.reason end as reason,
  case when h.breaker <> 'closed' then s.error_class end as error_class,
  case when h.breaker = 'half_open' then s.admit end as admit,
  coalesce(s.failures, 0) as failures,
  m.paused,
  p.paused as provider_paused,
  (
    select jsonb_agg(
      jsonb_build_object('kind', u.kind, 'limit', u.limit_name, 'value', u.value, 'used', u.used)
      order by u.kind, u.limit_name
    )
    from llmq.limit_use as u
    where (u.kind = 'model' and u.name = m.name) or (u.kind = 'provider' and u.name = m.provider)
  ) as limits
from llmq.models as m
join llmq.providers as p on p.name = m.provider
left join llmq.model_state as s on s.lane = m.lane
cross join lateral (
  select case when s.cooling_until > clock_timestamp() then 'open' when s.admit is not null then 'half_open' else 'closed' end
) as h (breaker);
comment on view llmq.provider_health is 'Which models can be called now, which are in trouble and why, and how much of their limits is used? One row per model.';
comment on column llmq.provider_health.breaker is 'closed: it is called as its limits allow; open: not before cooling_until; half_open: it recovers, with at most admit calls in flight.';
comment on column llmq.provider_health.cooling_until is 'End of the cool-down, also of the last one; null: there was none.';
comment on column llmq.provider_health.reason is 'The error that began it.';
comment on column llmq.provider_health.error_class is 'capacity, out_of_quota, configuration or transient.';
comment on column llmq.provider_health.failures is 'Transient failures in a row while it is closed: the setting breaker_failures of them open it.';
comment on column llmq.provider_health.limits is '[{"kind": "model" or "provider", "limit", "value", "used"}]: its own and its provider''s limits, as in llmq.limit_use; null without any.';
--! EndIncluded views/provider_health.sql
--! Included views/token_usage.sql
create view llmq.token_usage as
select
  f.agent_id, f.model, (f.finished_at at time zone 'UTC')::date as day, count(*) as requests,
  sum(f.input_tokens) as input_tokens, sum(f.output_tokens) as output_tokens,
  sum(f.cached_input_tokens) as cached_input_tokens, sum(f.reasoning_tokens) as reasoning_tokens
from llmq.results as f
where f.finished_at >= date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' - interval '720 hours'
  and f.agent_id <> all ((select llmq.hidden_agents())::text[])
group by f.agent_id, f.model, 3;
comment on view llmq.token_usage is
  'How many tokens did each agent use, per model and day (UTC), today and in the 30 days before? A request counts whole, with all its calls, for the day it finished and the last model it asked; llmq.attempts has every call.';
comment on column llmq.token_usage.model is 'Null for requests that ended without one.';
comment on column llmq.token_usage.cached_input_tokens is 'Part of input_tokens that the provider had cached.';
comment on column llmq.token_usage.reasoning_tokens is 'Part of output_tokens spent on reasoning.';
--! EndIncluded views/token_usage.sql
--! Included views/cost_by_day.sql
create view llmq.cost_by_day as
select
  f.agent_id, f.model, (f.finished_at at time zone 'UTC')::date as day, count(*) as requests,
  count(*) filter (where f.cost_usd is null) as without_cost, sum(f.cost_usd) as cost_usd
from llmq.results as f
where f.finished_at >= date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' - interval '720 hours'
  and f.agent_id <> all ((select llmq.hidden_agents())::text[])
group by f.agent_id, f.model, 3;
comment on view llmq.cost_by_day is
  'What did each agent cost, per model and day (UTC), today and in the 30 days before? A request counts whole, with all its calls, for the day it finished and the last model it asked; llmq.attempts has every call.';
comment on column llmq.cost_by_day.cost_usd is 'US dollars; null where no request has a cost.';
comment on column llmq.cost_by_day.without_cost is 'Requests without a cost: no call was made, or the model has no price (llmq.current_prices).';
--! EndIncluded views/cost_by_day.sql
--! Included views/budget_use.sql
create view llmq.budget_use as
select
  a.agent_id, b.period, b.budget_usd, u.spent_usd, round(u.spent_usd / nullif(b.budget_usd, 0), 4) as ratio,
  a.over_budget
from llmq.agents as a
cross join lateral (values ('day', a.daily_budget_usd), ('month', a.monthly_budget_usd)) as b (period, budget_usd)
cross join lateral (select llmq.agent_spent(a.agent_id, b.period)) as u (spent_usd)
where b.budget_usd is not null and a.agent_id <> all ((select llmq.hidden_agents())::text[]);
comment on view llmq.budget_use is 'How much of its budget has each agent spent, with what is reserved for calls in flight? One row per budget.';
comment on column llmq.budget_use.period is 'day or month, by UTC: since when it counts.';
comment on column llmq.budget_use.over_budget is 'What becomes of requests once it is spent: wait or fail.';
--! EndIncluded views/budget_use.sql
--! Included views/current_prices.sql
create view llmq.current_prices as
select
  m.name as model, m.provider, v.kind as provider_kind, m.model_id, p.source, p.min_input_tokens, p.input_per_million,
  p.cached_input_per_million, p.output_per_million, p.reasoning_per_million, p.valid_from
from llmq.models as m
join llmq.providers as v on v.name = m.provider
left join lateral (
  -- A tier that is no longer in force finds the row of a lower one, which is there already.
  select distinct a.*
  from llmq.prices as t
  cross join lateral llmq.price_at(m.name, now(), t.min_input_tokens) as a
  where t.model = m.name
) as p on true;
comment on view llmq.current_prices is
  'What does each model cost now? One row per tier, and one with nulls for a model without a price. US dollars per million tokens; llmq.prices has the prices of other times too.';
--! EndIncluded views/current_prices.sql
--! Included views/worker_health.sql
create view llmq.worker_health as
select
  w.id, w.name,
  w.heartbeat_at > clock_timestamp() - w.lost_after as alive,
  w.stopping, w.started_at,
  clock_timestamp() - w.heartbeat_at as last_seen,
  coalesce(h.requests, 0) as holds,
  w.info ->> 'listener' as listener,
  w.info ->> 'version' as version
from llmq.workers as w
left join (
  select f.worker_id, count(*) as requests from llmq.in_flight as f group by f.worker_id
) as h on h.worker_id = w.id;
comment on view llmq.worker_health is 'Which orchestrators and other workers are alive, and how much does each hold? llmq.workers has what they tell of themselves.';
comment on column llmq.worker_health.alive is 'Its last heartbeat is younger than its lost_after; false: what it holds is given back within a second, if any other is alive.';
comment on column llmq.worker_health.last_seen is 'Time since its last heartbeat.';
comment on column llmq.worker_health.holds is 'Requests in processing.';
comment on column llmq.worker_health.listener is 'How it learns of new requests: listening (NOTIFY), polling (LISTEN is down), off; null for other workers.';
--! EndIncluded views/worker_health.sql
--! Included views/table_health.sql
create view llmq.table_health as
select
  coalesce(p.relname, c.relname) as table_name,
  count(*) as parts,
  sum(s.n_live_tup)::bigint as live_rows,
  sum(s.n_dead_tup)::bigint as dead_rows,
  sum(pg_total_relation_size(c.oid))::bigint as total_bytes,
  max(s.last_autovacuum) as last_autovacuum,
  max(s.last_autoanalyze) as last_autoanalyze
from pg_class as c
join pg_stat_user_tables as s on s.relid = c.oid
left join pg_inherits as i on i.inhrelid = c.oid
left join pg_class as p on p.oid = i.inhparent
where c.relnamespace = 'llmq'::regnamespace and c.relkind = 'r'
group by 1;
comment on view llmq.table_health is 'How large is each table, how many dead rows has it, and when was it vacuumed? Partitions count for their table.';
comment on column llmq.table_health.table_name is 'Without the schema llmq.';
comment on column llmq.table_health.parts is 'Partitions, the default one included; 1 for a plain table.';
comment on column llmq.table_health.dead_rows is 'As the server estimates it, as live_rows.';
comment on column llmq.table_health.total_bytes is 'With indexes and TOAST.';
--! EndIncluded views/table_health.sql
--! Included views/storage_health.sql
-- What keeps dead rows from being removed: the oldest snapshot (or transaction with a number) of a session of this
-- database, a standby, a replication slot or a prepared transaction. Anybody may see pid, application and age of all;
-- since when, only members of pg_read_all_stats.
create view llmq.storage_health as
select
  q.n_dead_tup as queue_dead_rows,
  q.n_live_tup as queue_live_rows,
  q.last_autovacuum as queue_last_autovacuum,
  h.kind as snapshot_holder, h.pid as snapshot_pid, h.application as snapshot_application, h.role as snapshot_role,
  h.age as snapshot_age, h.since as snapshot_since,
  p.ahead as partitions_ahead, p.behind as partitions_behind, p.oldest as oldest_partition,
  (
    select count(*)
    from (
      (select from llmq.requests_default limit 1000)
      union all (select from llmq.results_default limit 1000)
      union all (select from llmq.attempts_default limit 1000)
    ) as d
  ) as default_partition_rows,
  pg_notification_queue_usage() as notification_queue_use,
  (
    select jsonb_object_agg(l.mode, l.workers)
    from (
      select w.info ->> 'listener' as mode, count(*) as workers
      from llmq.workers as w
      where w.heartbeat_at > clock_timestamp() - w.lost_after and w.info ? 'listener'
      group by 1
    ) as l
  ) as listeners
from (select min(w.ahead)::int as ahead, max(w.behind)::int as behind, min(w.oldest) as oldest from (
  select
    count(*) filter (where s.week > now()) as ahead,
    count(*) filter (where s.week <= now() - interval '168 hours') as behind,
    min(s.week)::date as oldest
  from pg_inherits as i
  join pg_class as c on c.oid = i.inhrelid
  cross join lateral (
    select to_date(substring(c.relname from '_(\d{8})$'), 'YYYYMMDD')::timestamp at time zone 'UTC'
  ) as s (week)
  where i.inhparent in ('llmq.requests'::regclass, 'llmq.results'::regclass, 'llmq.attempts'::regclass)
  group by i.inhparent
) as w) as p
cross join (
  select sum(s.n_dead_tup)::bigint as n_dead_tup, sum(s.n_live_tup)::bigint as n_live_tup, max(s.last_autovacuum) as last_autovacuum
  from pg_stat_user_tables as s
  where s.relid in ('llmq.queue'::regclass, 'llmq.in_flight'::regclass)
) as q
left join lateral (
  select o.*
  from (
    select
      case when a.datid is null then 'standby' else 'session' end as kind, a.pid, a.application_name as application,
      a.usename as role, a.xact_start as since, greatest(age(a.backend_xmin), age(a.backend_xid)) as age
    from pg_stat_activity as a
    where a.pid <> pg_backend_pid()
      and (a.datid is null or a.datname = current_database())
      and a.backend_type is distinct from 'autovacuum worker'
    union all
    select 'prepared transaction', null, x.gid, x.owner, x.prepared, age(x.transaction)
    from pg_prepared_xacts as x
    where x.database = current_database()
    union all
    select 'replication slot', s.active_pid, s.slot_name, null, null, age(s.xmin)
    from pg_replication_slots as s
  ) as o (kind, pid, application, role, since, age)
  where o.age is not null
  order by o.age desc, o.since
  limit 1
) as h on true;
comment on view llmq.storage_health is
  'Is the storage well: dead rows of queue and in_flight, who keeps them, partitions, notifications? One row; llmq.table_health has every table.';
comment on column llmq.storage_health.queue_dead_rows is 'Of llmq.queue and llmq.in_flight together, as the server estimates it. A few thousand are normal; hundreds of thousands mean an old snapshot, or autovacuum is off.';
comment on column llmq.storage_health.snapshot_holder is 'Who holds the oldest snapshot: session, standby, prepared transaction or replication slot; null: nobody.';
comment on column llmq.storage_health.snapshot_application is 'Its application_name, or the name of the prepared transaction or slot.';
comment on column llmq.storage_health.snapshot_age is 'In transactions since: 0 or little is normal.';
comment on column llmq.storage_health.snapshot_since is 'When its transaction began; null for other roles'' sessions, unless the reader is a member of pg_read_all_stats.';
comment on column llmq.storage_health.partitions_ahead is 'Weeks to come that have a partition in each of requests, results and attempts: 4 as a rule.';
comment on column llmq.storage_health.partitions_behind is 'Past weeks that are kept.';
comment on column llmq.storage_health.oldest_partition is 'Monday of the oldest week that is kept.';
comment on column llmq.storage_health.default_partition_rows is 'Rows that no week took, counted to 1,000 per table; 0 as a rule. llmq.ensure_partitions() moves them.';
comment on column llmq.storage_health.notification_queue_use is '0 to 1, of the whole server: at 1 every commit that notifies fails. It grows while a listening session keeps a transaction open.';
comment on column llmq.storage_health.listeners is '{"listening": 2, "polling": 1}: how the orchestrators that are alive learn of new requests.';
--! EndIncluded views/storage_health.sql
--! Included worker/read_metrics.sql
-- What /metrics shows of the database, in one round trip and of one moment. Nothing in it grows with use but what
-- llmq.queue_depth counts and the index entries of the last hour; the number of budgets is bounded here.
create function llmq.read_metrics() returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'depth', (
      select coalesce(jsonb_agg(to_jsonb(d)), '[]')
      from (
        select
          q.status, coalesce(q.model, '') as model, coalesce(q.held, '') as held, sum(q.requests) as requests,
          extract(epoch from max(q.oldest_age)) as oldest_age, extract(epoch from max(q.oldest_due_age)) as oldest_due_age
        from llmq.queue_depth as q
        group by 1, 2, 3
      ) as d
    ),
    'models', (
      select coalesce(jsonb_agg(to_jsonb(m)), '[]')
      from (
        select
          h.model, h.provider, h.breaker, h.paused or h.provider_paused as paused,
          greatest(extract(epoch from h.cooling_until - clock_timestamp()), 0) as cooling
        from llmq.provider_health as h
      ) as m
    ),
    'limits', (
      select coalesce(jsonb_agg(to_jsonb(l)), '[]')
      from (select u.kind, u.name, u.limit_name as limit, u.value, u.ratio from llmq.limit_use as u) as l
    ),
    'budgets', (
      select coalesce(jsonb_agg(to_jsonb(b)), '[]')
      from (
        -- The table, not llmq.budget_use: whoever may read metrics sees every agent's. A budget of nothing is spent.
        select a.agent_id, l.period, l.usd, coalesce(s.usd / nullif(l.usd, 0), 1) as ratio
        from llmq.agents as a
        cross join lateral (values ('day', a.daily_budget_usd), ('month', a.monthly_budget_usd)) as l (period, usd)
        cross join lateral (select llmq.agent_spent(a.agent_id, l.period)) as s (usd)
        where l.usd is not null
        order by 4 desc, 1, 2
        limit 100
      ) as b
    ),
    'last_hour', (
      select coalesce(jsonb_agg(to_jsonb(f)), '[]')
      from (
        select coalesce(r.model, '') as model, r.status, count(*) as requests, coalesce(sum(r.cost_usd), 0) as cost_usd
        from llmq.results as r
        where r.finished_at > now() - interval '1 hour'
        group by 1, 2
      ) as f
    ),
    'workers', (
      select coalesce(jsonb_agg(to_jsonb(w)), '[]')
      from (
        select
          case when not h.alive then 'lost' when h.stopping then 'stopping' else 'alive' end as state, count(*) as workers
        from llmq.worker_health as h
        group by 1
      ) as w
    ),
    'tables', (
      select jsonb_agg(to_jsonb(t))
      from (select h.table_name, h.live_rows, h.dead_rows, h.total_bytes from llmq.table_health as h) as t
    ),
    'storage', (
      select jsonb_build_object(
        'snapshot_age', coalesce(s.snapshot_age, 0),
        'snapshot_seconds', extract(epoch from clock_timestamp() - s.snapshot_since),
        'partitions_ahead', s.partitions_ahead,
        'partitions_behind', s.partitions_behind,
        'default_partition_rows', s.default_partition_rows,
        'notification_queue_use', s.notification_queue_use,
        'listeners', coalesce(s.listeners, '{}')
      )
      from llmq.storage_health as s
    )
  )
$$;
comment on function llmq.read_metrics() is
$$What an orchestrator shows of the database at /metrics, all of one moment: depth, models, limits, the hundred budgets that are used most, what finished in the last hour, workers, tables, storage. Ages are in seconds.
Returns: {"depth": [...], "models": [...], "limits": [...], "budgets": [...], "last_hour": [...], "workers": [...], "tables": [...], "storage": {...}}.$$;
--! EndIncluded worker/read_metrics.sql

-- First rows, and grants
--! Included seed/settings.sql
insert into llmq.settings (name, value, description) values
  ('max_attempts', '8', 'Failures after which a request fails, unless it names its own number: 1 to 1000.'),
  ('retry_base', '"1 second"', 'Pause after the first failure; doubles with each, with jitter over half of it: an interval up to a year.'),
  ('retry_max', '"5 minutes"', 'Longest pause between two attempts: an interval up to a year.'),
  ('max_crashes', '3', 'How many workers may die over one request before it fails: 1 to 1000.'),
  ('breaker_failures', '5', 'Transient failures in a row that open the breaker of a model: 1 to 1,000,000.'),
  ('ageing', '"5 minutes"', 'A request that is passed over for so long by others of higher priority climbs one priority: an interval up to a year; "0": never.'),
  ('refuse_above', 'null', 'Submits are refused (LQ010) when so many requests wait for their model, 1 to 1,000,000; null: never. Every submit then counts to that number.'),
  ('validation_retries', '1', 'How often a model is asked again with the errors of its answer, 0 to 10; 0: an invalid answer fails at once.'),
  ('call_timeout', '600', 'Seconds one call may take in all, up to 86400; a request''s settings.timeout goes before it.'),
  ('first_byte_timeout', '600', 'Seconds until the first byte of an answer, up to 86400.'),
  ('connect_timeout', '10', 'Seconds until a connection to the provider stands, up to 86400.'),
  ('retention_days', '90', 'Days a finished request is kept: 1 to 36500.'),
  ('pgmq', 'false', 'true or false: copy every request to the pgmq queue llm_requests; llmq.enable_pgmq() turns it on.'),
  ('pgmq_payload', '"reference"', 'reference: {"request_id", "agent_id", "task_type", "complexity"}; full: the whole request.');
--! EndIncluded seed/settings.sql
--! Included seed/external.sql
-- Requests with context.executor = 'external' wait in this lane; no orchestrator claims from it.
select llmq.configure_provider('external', 'external');
select llmq.configure_model('external', 'external');
--! EndIncluded seed/external.sql
--! Included seed/shared_queues.sql
insert into llmq.shared_queues (queue_name, handler) values
  ('llm_results', 'llmq.read_external_results'),
  ('job_results', 'llmq.receive_in_inbox'),
  ('approval_responses', 'llmq.receive_in_inbox'),
  ('question_responses', 'llmq.receive_in_inbox');
--! EndIncluded seed/shared_queues.sql
--! Included grants.sql
-- Every grant, nowhere else. The roles are the DBA's to create (create role llmq_client; ...); what exists
-- is granted to, and `select llmq.grant_roles()` does it again for roles made later. PUBLIC gets nothing.
--
--   llmq_client  submits, reads and cancels requests of its own agents
--   llmq_worker  what orchestrators call
--   llmq_reader  the views, without prompts and answers
--   llmq_admin   all of it, and configuration
create function llmq.grant_roles() returns text[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_client constant text[] := array[
    'submit_llm_request', 'submit_llm_requests', 'get_llm_request', 'wait_for_llm_request', 'cancel_llm_request',
    'retry_llm_request', 'submit_tool_results', 'explain_llm_request', 'result_channel', 'inbox_channel', 'read_inbox', 'status_of',
    'caller', 'may_use_agent', 'hidden_agents', 'insert_llm_request', 'schema_version', 'uuid_v7_floor', 'uuid_v7_time'
  ];
  v_worker constant text[] := array[
    'register_worker', 'heartbeat_worker', 'unregister_worker', 'claim_pending_llm_requests', 'mark_processing',
    'note_llm_calls', 'mark_completed', 'mark_failed', 'complete_llm_requests', 'fail_llm_requests', 'release_llm_requests',
    'take_cancellations', 'lost_claims', 'busy_claims', 'arm_wake', 'disarm_wake', 'maintain', 'recover_lost_llm_requests', 'expire_llm_requests',
    'sweep_llm_requests', 'cleanup_llm_requests', 'ensure_partitions', 'handle_shared_queue', 'read_external_results',
    'settle_external_results', 'import_prices', 'read_metrics', 'schema_version', 'setting', 'hidden_agents', 'caller', 'may_use_agent'
  ];
  v_reader constant text[] := array[
    'hidden_agents', 'caller', 'may_use_agent', 'price_at', 'uuid_v7_floor', 'uuid_v7_time', 'schema_version',
    'result_channel', 'meter_use', 'agent_spent', 'find_stuck_requests'
  ];
  v_small constant text :=
    'id, agent_id, task_type, complexity, status, published_at, error_message, created_at, updated_at, error_type, priority, '
    'run_at, deadline, started_at, finished_at, model, provider, attempts, max_attempts, capacity_waits, reasks, crashes, '
    'calls, finish_reason, repairs, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, cost_usd, parent_id';
  v_views constant text :=
    'llmq.queue_depth, llmq.queue_by_agent, llmq.stuck_requests, llmq.requests_by_minute, llmq.completed_last_hour, '
    'llmq.agent_success_rate, llmq.recent_failures, llmq.validation_failures, llmq.latency_by_model, '
    'llmq.tool_call_counts, llmq.provider_outages, llmq.limit_use, llmq.provider_health, llmq.token_usage, '
    'llmq.cost_by_day, llmq.budget_use, llmq.current_prices, llmq.worker_health, llmq.table_health, llmq.storage_health';
  v_tool_calls constant text := 'request_id, agent_id, task_type, model, number, tool_call_id, tool_name, finished_at';
  v_role text;
  v_granted text[] := '{}';
begin
  foreach v_role in array array['llmq_client', 'llmq_worker', 'llmq_reader', 'llmq_admin'] loop
    continue when not exists (select from pg_catalog.pg_roles as r where r.rolname = v_role);
    execute format('grant usage on schema llmq to %I', v_role);
    if v_role = 'llmq_admin' then
      execute 'grant select, insert, update, delete on all tables in schema llmq to llmq_admin';
      execute 'grant usage, select, update on all sequences in schema llmq to llmq_admin';
      execute 'grant execute on all routines in schema llmq to llmq_admin';
    else
      perform llmq.grant_execute(v_role, case v_role when 'llmq_client' then v_client when 'llmq_worker' then v_worker else v_reader end);
    end if;
    case v_role
      when 'llmq_client' then
        execute 'grant select, insert on llmq.llm_requests to llmq_client';
      when 'llmq_worker' then
        execute 'grant select on llmq.settings, llmq.providers, llmq.models, llmq.routes, llmq.shared_queues, llmq.workers, llmq.model_state, llmq.queue_depth to llmq_worker';
      when 'llmq_reader' then
        execute format('grant select (%s) on llmq.llm_requests to llmq_reader', v_small);
        execute format('grant select (%s) on llmq.tool_calls to llmq_reader', v_tool_calls);
        execute format('grant select on %s, llmq.attempts, llmq.workers, llmq.models, llmq.prices, llmq.providers, llmq.routes, llmq.agents, llmq.model_state, llmq.lane_meters, llmq.usage, llmq.agent_usage, llmq.settings to llmq_reader', v_views);
      else null;
    end case;
    v_granted := v_granted || v_role;
  end loop;
  return v_granted;
end
$$;
comment on function llmq.grant_roles() is
$$Grants the roles llmq_client, llmq_worker, llmq_reader and llmq_admin what they need, as far as they exist, and returns which ones did. Create the roles first; call it again after creating one later.
Example: create role llmq_client nologin; select llmq.grant_roles();$$;

create function llmq.grant_execute(role_name text, routines text[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_routine regprocedure;
begin
  for v_routine in
    select p.oid::regprocedure
    from pg_catalog.pg_proc as p
    where p.pronamespace = 'llmq'::regnamespace and p.proname = any (routines)
  loop
    execute format('grant execute on routine %s to %I', v_routine, role_name);
  end loop;
end
$$;
comment on function llmq.grant_execute(text, text[]) is 'Internal: execute on the named routines of llmq.';

-- The default privileges of schema.sql cannot take back what a new function gives to PUBLIC by default.
revoke all on schema llmq from public;
revoke execute on all routines in schema llmq from public;
revoke usage on type
  llmq.new_request, llmq.claimed_request, llmq.complexity, llmq.priority, llmq.attempt_limit, llmq.jsonb_object,
  llmq.jsonb_array, llmq.json_schema, llmq.hold_reason, llmq.lane_room
from public;
select llmq.grant_roles();
--! EndIncluded grants.sql
--! EndIncluded all.sql
