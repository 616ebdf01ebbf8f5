create view llmq.requests_by_minute as
with ended as materialized (
  select f.started_at, date_trunc('minute', f.finished_at) as minute, f.status, f.input_tokens, f.output_tokens, f.cost_usd
  from llmq.results as f
  where f.finished_at >= date_trunc('minute', now()) - interval '179 minutes'
)
select
  t.time,
  coalesce(b.requests, 0) as submitted,
  coalesce(s.requests, 0) as started,
  coalesce(e.finished, 0) as finished,
  coalesce(e.completed, 0) as completed,
  coalesce(e.failed, 0) as failed,
  coalesce(e.input_tokens, 0) as input_tokens,
  coalesce(e.output_tokens, 0) as output_tokens,
  coalesce(e.cost_usd, 0) as cost_usd
from generate_series(
  date_trunc('minute', now()) - interval '179 minutes', date_trunc('minute', now()), interval '1 minute'
) as t (time)
left join (
  select date_trunc('minute', llmq.uuid_v7_time(r.id)) as minute, count(*) as requests
  from llmq.requests as r
  where r.id >= llmq.uuid_v7_floor(date_trunc('minute', now()) - interval '179 minutes')
  group by 1
) as b on b.minute = t.time
left join (
  select date_trunc('minute', u.started_at) as minute, count(*) as requests
  from (
    select o.started_at from ended as o
    union all
    select f.started_at from llmq.in_flight as f
  ) as u
  group by 1
) as s on s.minute = t.time
left join (
  select
    n.minute, count(*) as finished, count(*) filter (where n.status = 'completed') as completed,
    count(*) filter (where n.status = 'failed') as failed, sum(n.input_tokens) as input_tokens,
    sum(n.output_tokens) as output_tokens, sum(n.cost_usd) as cost_usd
  from ended as n
  group by n.minute
) as e on e.minute = t.time;
comment on view llmq.requests_by_minute is
  'How did load, throughput and cost go in the last three hours? One row per minute, also of those in which nothing happened; the last one is not over yet. In Grafana: select * from llmq.requests_by_minute order by time, as a time series.';
comment on column llmq.requests_by_minute.started is 'By the last claim of each request: one that waits for another try is counted when it starts again.';
comment on column llmq.requests_by_minute.finished is 'Completed, failed or cancelled.';
comment on column llmq.requests_by_minute.input_tokens is 'Of requests that finished in this minute, over all their calls; so are output_tokens and cost_usd.';
