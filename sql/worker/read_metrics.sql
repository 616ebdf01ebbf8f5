-- What /metrics shows of the database, in one round trip and of one moment. Nothing in it grows with use but what
-- llmq.queue_depth counts and the index entries of the last hour; the number of budgets is bounded here.
create function llmq.read_metrics() returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'depth', (
      select jsonb_agg(to_jsonb(d))
      from (
        select
          q.status, coalesce(q.model, '') as model, coalesce(q.held, '') as held, sum(q.requests) as requests,
          extract(epoch from max(q.oldest_age)) as oldest_age, extract(epoch from max(q.oldest_due_age)) as oldest_due_age
        from llmq.queue_depth as q
        group by 1, 2, 3
      ) as d
    ),
    'models', (
      select jsonb_agg(jsonb_build_object(
        'model', h.model, 'provider', h.provider, 'breaker', h.breaker, 'paused', h.paused or h.provider_paused,
        'cooling', greatest(extract(epoch from h.cooling_until - clock_timestamp()), 0)
      ))
      from (
        select o.model, o.provider, o.breaker, o.paused, o.provider_paused, o.cooling_until from llmq.provider_health as o
      ) as h
    ),
    'limits', (select jsonb_agg(to_jsonb(u)) from llmq.limit_use as u),
    'budgets', (
      select jsonb_agg(to_jsonb(b))
      from (
        select a.agent_id, l.period, l.budget, s.spent
        from llmq.agents as a
        cross join lateral (values ('day', a.daily_budget_usd), ('month', a.monthly_budget_usd)) as l (period, budget)
        cross join lateral (select llmq.agent_spent(a.agent_id, l.period)) as s (spent)
        where l.budget is not null
        order by s.spent / nullif(l.budget, 0) desc nulls first, a.agent_id
        limit 100
      ) as b
    ),
    'last_hour', (
      select jsonb_agg(to_jsonb(f))
      from (
        select coalesce(r.model, '') as model, r.status, count(*) as requests, coalesce(sum(r.cost_usd), 0) as cost_usd
        from llmq.results as r
        where r.finished_at > now() - interval '1 hour'
        group by 1, 2
      ) as f
    ),
    'workers', (
      select jsonb_agg(to_jsonb(w))
      from (
        select
          case when not h.alive then 'lost' when h.stopping then 'stopping' else 'alive' end as state, count(*) as workers
        from llmq.worker_health as h
        group by 1
      ) as w
    ),
    'storage', (
      select to_jsonb(s) || jsonb_build_object('snapshot_seconds', extract(epoch from clock_timestamp() - s.snapshot_since))
      from llmq.storage_health as s
    ),
    'tables', (select jsonb_agg(to_jsonb(t)) from llmq.table_health as t)
  )
$$;
comment on function llmq.read_metrics() is
$$What an orchestrator shows of the database at /metrics, all of one moment: depth, models, limits, the hundred budgets that are used most, what finished in the last hour, workers, storage, tables.
Returns: {"depth": [...], "models": [...], "limits": [...], "budgets": [...], "last_hour": [...], "workers": [...], "storage": {...}, "tables": [...]}; a list without rows is null.$$;
