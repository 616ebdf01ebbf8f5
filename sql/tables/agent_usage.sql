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
