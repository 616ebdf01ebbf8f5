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
