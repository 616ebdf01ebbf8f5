-- THE STATE MACHINE. One narrow row per request that is not finished; finished ones live in llmq.results.
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
-- that can grow: under a long transaction dead versions of it cannot be removed, and their size is what hurts. The
-- fillfactor leaves room for one more version of each row in its page: a claim whose new versions go elsewhere
-- writes a tenth more WAL.
create sequence llmq.claim_ids;
comment on sequence llmq.claim_ids is 'One number per claim: the fence a worker hands back with the outcome.';

create table llmq.queue (
  -- In this order the server puts no padding between the columns, and those that a claim changes are neighbours:
  -- the WAL has of a new version what lies between its first and last change.
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
  claim_id        bigint,
  reserved_usd    double precision,
  reserved_input  integer,
  reserved_output integer,
  worker_id       uuid,
  status          text not null default 'pending',
  hold            llmq.hold_reason,
  pinned          boolean not null default false,
  has_reply_to    boolean not null default false,
  agent_id        text not null,
  task_type       text not null,
  complexity      llmq.complexity not null,
  error_type      text,
  error_message   varchar(300),
  constraint queue_pkey primary key (id),
  -- One, and a short one: by its length it is 8% of a submit (see types.sql). A row is processing
  -- exactly while a claim holds it; its first half is what lets the view leave the queue out by status.
  constraint queue_status check (
    status >= 'p' and status = case when claim_id is null then 'pending' else 'processing' end
  )
) with (
  fillfactor = 45,
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_insert_scale_factor = 0.2,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.1,
  autovacuum_analyze_threshold = 2000
);

-- The claim: ready rows of a lane and priority in the order of their tags, from the lane's mark on.
create index queue_ready on llmq.queue (lane, priority, tag)
  where status = 'pending' and tag is not null;
-- Ranking: the last tag of one agent in a lane and priority. The probe reads all of the agent's entries on the
-- last page, 200 of them where there is a backlog: by two numbers that takes half as long as by four columns.
create index queue_ready_by_agent on llmq.queue (llmq.ranking_key(lane, priority, agent_id), tag)
  where status = 'pending' and tag is not null;
-- Promotion, and "what is due next": rows without a rank.
create index queue_waiting on llmq.queue (run_at)
  where status = 'pending' and tag is null and hold is null;
-- Release: what one agent has held, best first.
create index queue_held on llmq.queue (hold, agent_id, priority desc, id)
  where hold is not null;
-- In flight per lane, oldest first.
create index queue_processing on llmq.queue (lane, started_at)
  where status = 'processing';
-- Deadlines that pass, queued or running.
create index queue_deadline on llmq.queue (deadline)
  where deadline is not null;
-- One agent's: lists by status, and what it has in flight, oldest first.
create index queue_of_agent on llmq.queue (agent_id, status, started_at);
-- One task type's.
create index queue_by_task_type on llmq.queue (task_type);

comment on table llmq.queue is 'Requests that are not finished: what the claim reads. Narrow on purpose. Read it through the view llmq.llm_requests.';
comment on column llmq.queue.lane is 'llmq.models.lane of the model that will be asked. No foreign key: its check would lock a hot row per submit.';
comment on column llmq.queue.tag is 'Rank inside lane and priority, lowest first (start-time fair queuing); null while waiting to be due or ranked.';
comment on column llmq.queue.run_at is 'Not before this.';
comment on column llmq.queue.claim_id is 'Number of the claim that holds the row; an outcome with another number changes nothing.';
comment on column llmq.queue.attempts is 'Failures that count. Capacity waits, re-asks and crashes have counters of their own.';
comment on column llmq.queue.hold is 'Why the claim passed it over and took it out of the way; null: nothing holds it.';
comment on column llmq.queue.reserved_input is 'Input tokens that its claim took from the limits of model and provider; 0 where only requests are counted, null where nothing is.';
comment on column llmq.queue.reserved_output is 'Output tokens, likewise.';
comment on column llmq.queue.reserved_usd is 'US dollars that its claim took from the agent''s budget; null without one.';
comment on column llmq.queue.calls is 'Ledger rows written so far (llmq.attempts.number).';
comment on column llmq.queue.route_step is 'Which model of the route is being asked, from 1.';
comment on column llmq.queue.pinned is 'The caller named the model: no fall-back along a route.';
comment on column llmq.queue.error_message is 'Last error, cut to 300 characters; llmq.attempts has it whole.';
comment on column llmq.queue.priority is '-100 to 100, higher first.';
comment on column llmq.queue.status is 'pending or processing; finished requests are in llmq.results.';
comment on column llmq.queue.worker_id is 'llmq.workers.id of the holder, while processing.';
comment on column llmq.queue.pgmq_msg_id is 'Number of the copy in the pgmq queue llm_requests; null without pgmq.';
comment on column llmq.queue.capacity_waits is 'How often the model was limited, out of quota or misconfigured: not an attempt.';
comment on column llmq.queue.reasks is 'How often the model was asked again with the errors of its answer.';
comment on column llmq.queue.crashes is 'How many workers died over it.';
comment on column llmq.queue.error_type is 'Of the last failure, while it waits for the next attempt.';
