-- The ledger of the budgets: US dollars of agents that have one. The claim reserves an estimate, the finish
-- corrects it, both dated by the start of the call, so that a call belongs to one day. Insert-only, as llmq.usage.
create table llmq.agent_spend (
  agent_id text not null,
  at       timestamptz not null,
  usd      numeric not null,
  compact  boolean not null default false
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
create index agent_spend_by_agent on llmq.agent_spend (agent_id, at);
create index agent_spend_to_compact on llmq.agent_spend (agent_id) where not compact;

comment on table llmq.agent_spend is 'What agents with a budget spent and reserved, this month and the last. llmq.maintain() keeps one row per agent and day and the newest ones.';
comment on column llmq.agent_spend.at is 'Start of the call; of the day (UTC) in a sum.';
comment on column llmq.agent_spend.usd is 'US dollars: reserved at the claim, or the difference to what the call cost.';
comment on column llmq.agent_spend.compact is 'Sum of a day.';
