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
