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
