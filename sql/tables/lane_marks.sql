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
