create view llmq.token_usage as
select
  f.agent_id, f.model, (f.finished_at at time zone 'UTC')::date as day, count(*) as requests,
  sum(f.input_tokens) as input_tokens, sum(f.output_tokens) as output_tokens,
  sum(f.cached_input_tokens) as cached_input_tokens, sum(f.reasoning_tokens) as reasoning_tokens
from llmq.results as f
where f.finished_at >= date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' - interval '720 hours'
  and f.agent_id <> all ((select llmq.hidden_agents())::text[])
group by f.agent_id, f.model, 3;
comment on view llmq.token_usage is
  'How many tokens did each agent use, per model and day (UTC), today and in the 30 days before? A request counts whole, with all its calls, for the day it finished and the last model it asked; llmq.attempts has every call.';
comment on column llmq.token_usage.model is 'Null for requests that ended without one.';
comment on column llmq.token_usage.cached_input_tokens is 'Part of input_tokens that the provider had cached.';
comment on column llmq.token_usage.reasoning_tokens is 'Part of output_tokens spent on reasoning.';
