create view llmq.budget_use as
select
  a.agent_id, b.period, b.budget_usd, u.spent_usd, round(u.spent_usd / nullif(b.budget_usd, 0), 4) as ratio,
  a.over_budget
from llmq.agents as a
cross join lateral (values ('day', a.daily_budget_usd), ('month', a.monthly_budget_usd)) as b (period, budget_usd)
cross join lateral (select llmq.agent_spent(a.agent_id, b.period)) as u (spent_usd)
where b.budget_usd is not null and a.agent_id <> all ((select llmq.hidden_agents())::text[]);
comment on view llmq.budget_use is 'How much of its budget has each agent spent, with what is reserved for calls in flight? One row per budget.';
comment on column llmq.budget_use.period is 'day or month, by UTC: since when it counts.';
comment on column llmq.budget_use.over_budget is 'What becomes of requests once it is spent: wait or fail.';
