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
