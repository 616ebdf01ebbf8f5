create view llmq.provider_outages as
select
  a.provider, a.model, a.outcome, count(*) as calls, min(a.finished_at) as first_at, max(a.finished_at) as last_at,
  (array_agg(a.error_message order by a.finished_at desc))[1] as last_error,
  (select s.cooling_until from llmq.models as m join llmq.model_state as s on s.lane = m.lane where m.name = a.model and s.cooling_until > now()) as cooling_until
from llmq.attempts as a
where a.finished_at > now() - interval '24 hours'
  and a.outcome in ('transient', 'capacity', 'out_of_quota', 'configuration')
group by a.provider, a.model, a.outcome;
comment on view llmq.provider_outages is 'Which providers and models were down, limited or misconfigured in the last 24 hours? Counts calls.';
comment on column llmq.provider_outages.outcome is 'transient, capacity, out_of_quota or configuration.';
comment on column llmq.provider_outages.cooling_until is 'No call of this model before then; null: it is called.';
