create view llmq.cost_by_day as
select
  f.agent_id, f.model, (f.finished_at at time zone 'UTC')::date as day, count(*) as requests,
  count(*) filter (where f.cost_usd is null) as without_cost, sum(f.cost_usd) as cost_usd
from llmq.results as f
where f.finished_at >= date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' - interval '720 hours'
  and f.agent_id <> all ((select llmq.hidden_agents())::text[])
group by f.agent_id, f.model, 3;
comment on view llmq.cost_by_day is
  'What did each agent cost, per model and day (UTC), today and in the 30 days before? A request counts whole, with all its calls, for the day it finished and the last model it asked; llmq.attempts has every call.';
comment on column llmq.cost_by_day.cost_usd is 'US dollars; null where no request has a cost.';
comment on column llmq.cost_by_day.without_cost is 'Requests without a cost: no call was made, or the model has no price (llmq.current_prices).';
