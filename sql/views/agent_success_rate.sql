-- One look at the week serves all three rows: what finished within the hour counts in the day and the week too.
create view llmq.agent_success_rate as
select
  g.agent_id,
  p.period,
  sum(g.requests)::bigint as total,
  coalesce(sum(g.requests) filter (where g.status = 'completed'), 0)::bigint as completed,
  coalesce(sum(g.requests) filter (where g.status = 'failed'), 0)::bigint as failed,
  coalesce(sum(g.requests) filter (where g.status = 'cancelled'), 0)::bigint as cancelled,
  round(
    coalesce(sum(g.requests) filter (where g.status = 'completed'), 0)
      / nullif(sum(g.requests) filter (where g.status <> 'cancelled'), 0),
    4
  ) as rate
from (
  select
    f.agent_id, f.status,
    case
      when f.finished_at > now() - interval '1 hour' then interval '1 hour'
      when f.finished_at > now() - interval '1 day' then interval '1 day'
      else interval '7 days'
    end as within,
    count(*) as requests
  from llmq.results as f
  where f.finished_at > now() - interval '7 days' and f.agent_id <> all ((select llmq.hidden_agents())::text[])
  group by 1, 2, 3
) as g
join (values (interval '1 hour'), (interval '1 day'), (interval '7 days')) as p (period) on g.within <= p.period
group by g.agent_id, p.period;
comment on view llmq.agent_success_rate is
  'How often did each agent''s requests succeed, in the last hour, day and week? One row per agent and period in which something of it finished.';
comment on column llmq.agent_success_rate.period is '1 hour, 1 day or 7 days, up to now: where period = ''1 day''.';
comment on column llmq.agent_success_rate.total is 'Finished in any way.';
comment on column llmq.agent_success_rate.rate is 'Completed of those that completed or failed, 0 to 1; null when all were cancelled.';
