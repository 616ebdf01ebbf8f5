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
