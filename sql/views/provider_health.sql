create view llmq.provider_health as
select
  m.name as model,
  m.provider,
  h.breaker,
  s.cooling_until,
  case when h.breaker <> 'closed' then s.reason end as reason,
  case when h.breaker <> 'closed' then s.error_class end as error_class,
  case when h.breaker = 'half_open' then s.admit end as admit,
  coalesce(s.failures, 0) as failures,
  m.paused,
  p.paused as provider_paused,
  (
    select jsonb_agg(
      jsonb_build_object('kind', u.kind, 'limit', u.limit_name, 'value', u.value, 'used', u.used)
      order by u.kind, u.limit_name
    )
    from llmq.limit_use as u
    where (u.kind = 'model' and u.name = m.name) or (u.kind = 'provider' and u.name = m.provider)
  ) as limits
from llmq.models as m
join llmq.providers as p on p.name = m.provider
left join llmq.model_state as s on s.lane = m.lane
cross join lateral (
  select case when s.cooling_until > clock_timestamp() then 'open' when s.admit is not null then 'half_open' else 'closed' end
) as h (breaker);
comment on view llmq.provider_health is 'Which models can be called now, which are in trouble and why, and how much of their limits is used? One row per model.';
comment on column llmq.provider_health.breaker is 'closed: it is called as its limits allow; open: not before cooling_until; half_open: it recovers, with at most admit calls in flight.';
comment on column llmq.provider_health.cooling_until is 'End of the cool-down, also of the last one; null: there was none.';
comment on column llmq.provider_health.reason is 'The error that began it.';
comment on column llmq.provider_health.error_class is 'capacity, out_of_quota, configuration or transient.';
comment on column llmq.provider_health.failures is 'Transient failures in a row while it is closed: the setting breaker_failures of them open it.';
comment on column llmq.provider_health.limits is '[{"kind": "model" or "provider", "limit", "value", "used"}]: its own and its provider''s limits, as in llmq.limit_use; null without any.';
