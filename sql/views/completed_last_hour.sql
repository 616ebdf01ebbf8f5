create view llmq.completed_last_hour as
select
  f.agent_id, f.model, count(*) as completed, sum(f.input_tokens) as input_tokens, sum(f.output_tokens) as output_tokens,
  sum(f.cost_usd) as cost_usd, max(f.finished_at) as last_at
from llmq.results as f
where f.finished_at > now() - interval '1 hour'
  and f.status = 'completed'
  and f.agent_id <> all ((select llmq.hidden_agents())::text[])
group by f.agent_id, f.model;
comment on view llmq.completed_last_hour is 'What was completed in the last hour, per agent and the model that answered?';
comment on column llmq.completed_last_hour.input_tokens is 'Sums over all calls of these requests, failed ones included.';
