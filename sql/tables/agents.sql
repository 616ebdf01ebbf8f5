create table llmq.agents (
  agent_id         text primary key,
  weight           numeric not null default 1,
  max_concurrency  integer,
  daily_budget_usd numeric,
  owner            name,
  paused           boolean not null default false,
  updated_at       timestamptz not null default now(),
  constraint agents_weight check (weight between 0.01 and 1000),
  constraint agents_limits check (max_concurrency > 0 and daily_budget_usd >= 0)
);
comment on table llmq.agents is 'Agents that need anything but the defaults; an agent without a row has weight 1 and no owner. Written by llmq.configure_agent().';
comment on column llmq.agents.weight is 'Share of a model''s starts beside other waiting agents of the same priority.';
comment on column llmq.agents.owner is 'Database role the agent belongs to: only its members (and llmq_admin) see or submit this agent''s requests. Null: any llmq_client.';
comment on column llmq.agents.max_concurrency is 'Stored, not enforced yet; so are daily_budget_usd and paused.';
