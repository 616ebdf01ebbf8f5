create view llmq.latency_by_model as
select
  r.model, r.requests,
  round(r.queue[1]::numeric, 3) as queue_p50, round(r.queue[2]::numeric, 3) as queue_p95, round(r.queue[3]::numeric, 3) as queue_p99,
  round(a.first_byte[1]::numeric, 3) as first_byte_p50, round(a.first_byte[2]::numeric, 3) as first_byte_p95, round(a.first_byte[3]::numeric, 3) as first_byte_p99,
  round(a.call[1]::numeric, 3) as call_p50, round(a.call[2]::numeric, 3) as call_p95, round(a.call[3]::numeric, 3) as call_p99,
  round(r.total[1]::numeric, 3) as total_p50, round(r.total[2]::numeric, 3) as total_p95, round(r.total[3]::numeric, 3) as total_p99
from (
  select
    f.model, count(*) as requests,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (
      order by extract(epoch from f.started_at - greatest(f.created_at, f.run_at))::double precision
    ) as queue,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (
      order by extract(epoch from f.finished_at - f.created_at)::double precision
    ) as total
  from llmq.results as f
  where f.finished_at > now() - interval '1 hour' and f.status = 'completed' and f.model is not null
  group by f.model
) as r
left join (
  select
    c.model,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (order by c.first_byte_ms / 1000.0::double precision) as first_byte,
    percentile_cont(array[0.5, 0.95, 0.99]) within group (order by c.latency_ms / 1000.0::double precision) as call
  from llmq.attempts as c
  where c.request_id >= llmq.uuid_v7_floor(now() - interval '2 hours')
    and c.finished_at > now() - interval '1 hour'
    and c.outcome = 'answered'
  group by c.model
) as a on a.model = r.model;
comment on view llmq.latency_by_model is
  'How fast were the answers of each model in the last hour? Medians, 95th and 99th percentiles, in seconds. Calls of requests that were submitted more than two hours ago are left out.';
comment on column llmq.latency_by_model.queue_p50 is 'From when a request could run (its run_at) to its last claim.';
comment on column llmq.latency_by_model.first_byte_p50 is 'From the start of a call to the first byte of its answer.';
comment on column llmq.latency_by_model.call_p50 is 'From the start of a call to the end of its answer.';
comment on column llmq.latency_by_model.total_p50 is 'From the submit to the stored answer, with delays, earlier attempts and re-asks.';
