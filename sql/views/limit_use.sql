create view llmq.limit_use as
select
  m.kind, m.name, l.limit_name, l.value, greatest(l.used, 0) as used, round(greatest(l.used, 0)::numeric / l.value, 4) as ratio
from (
  -- A provider has one meter, and a row of lane_meters per model.
  select distinct on (o.meter) o.* from llmq.lane_meters as o order by o.meter
) as m
cross join lateral llmq.meter_use(m.meter, m.lanes, clock_timestamp()) as u
cross join lateral (values
  ('requests_per_minute', m.requests_per_minute::bigint, u.requests),
  ('input_tokens_per_minute', m.input_tokens_per_minute::bigint, u.input_tokens),
  ('output_tokens_per_minute', m.output_tokens_per_minute::bigint, u.output_tokens),
  ('tokens_per_minute', m.tokens_per_minute::bigint, u.input_tokens + u.output_tokens),
  ('max_concurrency', m.max_concurrency::bigint, u.in_flight)
) as l (limit_name, value, used)
where l.value is not null;
comment on view llmq.limit_use is 'How much of each limit of models and providers is used at this moment? One row per limit that is set.';
comment on column llmq.limit_use.kind is 'model or provider: whose limit it is.';
comment on column llmq.limit_use.limit_name is 'The column of llmq.models or llmq.providers: requests_per_minute, input_tokens_per_minute, output_tokens_per_minute, tokens_per_minute, max_concurrency.';
comment on column llmq.limit_use.value is 'The limit; for max_concurrency of a model that recovers, what it admits meanwhile.';
comment on column llmq.limit_use.used is 'In the last 61 seconds, with what is reserved for calls in flight; for max_concurrency: in flight.';
comment on column llmq.limit_use.ratio is 'used of value; above 1 where a single request is larger than the limit.';
