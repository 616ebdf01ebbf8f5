-- A call counts at two meters: its model's and its provider's (the key's). Both limits hold.
create view llmq.lane_meters as
select
  m.lane, m.lane as meter, 'model'::text as kind, m.name, m.requests_per_minute, m.input_tokens_per_minute,
  m.output_tokens_per_minute, m.tokens_per_minute, least(m.max_concurrency, s.admit) as max_concurrency,
  array[m.lane] as lanes
from llmq.models as m
left join llmq.model_state as s on s.lane = m.lane
where num_nonnulls(
  m.requests_per_minute, m.input_tokens_per_minute, m.output_tokens_per_minute, m.tokens_per_minute,
  m.max_concurrency, s.admit
) > 0
union all
select
  m.lane, p.meter, 'provider', p.name, p.requests_per_minute, p.input_tokens_per_minute,
  p.output_tokens_per_minute, p.tokens_per_minute, p.max_concurrency,
  array(select o.lane from llmq.models as o where o.provider = p.name)
from llmq.models as m
join llmq.providers as p on p.name = m.provider
where num_nonnulls(
  p.requests_per_minute, p.input_tokens_per_minute, p.output_tokens_per_minute, p.tokens_per_minute,
  p.max_concurrency
) > 0;
comment on view llmq.lane_meters is 'Internal: the limits that calls of a lane count against; no row for a lane without limits. max_concurrency includes what a recovering model admits.';
