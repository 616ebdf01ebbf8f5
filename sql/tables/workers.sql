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
