-- What /metrics shows of the database, in one round trip and of one moment. Nothing in it grows with use but what
-- llmq.queue_depth counts and the index entries of the last hour; the number of budgets is bounded here.
create function llmq.read_metrics() returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'depth', (
      select coalesce(jsonb_agg(to_jsonb(d)), '[]')
      from (
        select
          q.status, coalesce(q.model, '') as model, coalesce(q.held, '') as held, sum(q.requests) as requests,
          extract(epoch from max(q.oldest_age)) as oldest_age, extract(epoch from max(q.oldest_due_age)) as oldest_due_age
        from llmq.queue_depth as q
        group by 1, 2, 3
      ) as d
    ),
    'models', (
      select coalesce(jsonb_agg(to_jsonb(m)), '[]')
      from (
        select
          h.model, h.provider, h.breaker, h.paused or h.provider_paused as paused,
          greatest(extract(epoch from h.cooling_until - clock_timestamp()), 0) as cooling
        from llmq.provider_health as h
      ) as m
    ),
    'limits', (
      select coalesce(jsonb_agg(to_jsonb(l)), '[]')
      from (select u.kind, u.name, u.limit_name as limit, u.value, u.ratio from llmq.limit_use as u) as l
    ),
    'budgets', (
      select coalesce(jsonb_agg(to_jsonb(b)), '[]')
      from (
        -- The table, not llmq.budget_use: whoever may read metrics sees every agent's. A budget of nothing is spent.
        select a.agent_id, l.period, l.usd, coalesce(s.usd / nullif(l.usd, 0), 1) as ratio
        from llmq.agents as a
        cross join lateral (values ('day', a.daily_budget_usd), ('month', a.monthly_budget_usd)) as l (period, usd)
        cross join lateral (select llmq.agent_spent(a.agent_id, l.period)) as s (usd)
        where l.usd is not null
        order by 4 desc, 1, 2
        limit 100
      ) as b
    ),
    'last_hour', (
      select coalesce(jsonb_agg(to_jsonb(f)), '[]')
      from (
        select coalesce(r.model, '') as model, r.status, count(*) as requests, coalesce(sum(r.cost_usd), 0) as cost_usd
        from llmq.results as r
        where r.finished_at > now() - interval '1 hour'
        group by 1, 2
      ) as f
    ),
    'workers', (
      select coalesce(jsonb_agg(to_jsonb(w)), '[]')
      from (
        select
          case when not h.alive then 'lost' when h.stopping then 'stopping' else 'alive' end as state, count(*) as workers
        from llmq.worker_health as h
        group by 1
      ) as w
    ),
    'tables', (
      select jsonb_agg(to_jsonb(t))
      from (select h.table_name, h.live_rows, h.dead_rows, h.total_bytes from llmq.table_health as h) as t
    ),
    'storage', (
      select jsonb_build_object(
        'snapshot_age', coalesce(s.snapshot_age, 0),
        'snapshot_seconds', extract(epoch from clock_timestamp() - s.snapshot_since),
        'partitions_ahead', s.partitions_ahead,
        'partitions_behind', s.partitions_behind,
        'default_partition_rows', s.default_partition_rows,
        'notification_queue_use', s.notification_queue_use,
        'listeners', coalesce(s.listeners, '{}')
      )
      from llmq.storage_health as s
    )
  )
$$;
comment on function llmq.read_metrics() is
$$What an orchestrator shows of the database at /metrics, all of one moment: depth, models, limits, the hundred budgets that are used most, what finished in the last hour, workers, tables, storage. Ages are in seconds.
Returns: {"depth": [...], "models": [...], "limits": [...], "budgets": [...], "last_hour": [...], "workers": [...], "tables": [...], "storage": {...}}.$$;
