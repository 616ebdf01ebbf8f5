create view llmq.worker_health as
select
  w.id, w.name,
  w.heartbeat_at > clock_timestamp() - w.lost_after as alive,
  w.stopping, w.started_at,
  clock_timestamp() - w.heartbeat_at as last_seen,
  coalesce(h.requests, 0) as holds,
  w.info ->> 'listener' as listener,
  w.info ->> 'version' as version
from llmq.workers as w
left join (
  select f.worker_id, count(*) as requests from llmq.in_flight as f group by f.worker_id
) as h on h.worker_id = w.id;
comment on view llmq.worker_health is 'Which orchestrators and other workers are alive, and how much does each hold? llmq.workers has what they tell of themselves.';
comment on column llmq.worker_health.alive is 'Its last heartbeat is younger than its lost_after; false: what it holds is given back within a second, if any other is alive.';
comment on column llmq.worker_health.last_seen is 'Time since its last heartbeat.';
comment on column llmq.worker_health.holds is 'Requests in processing.';
comment on column llmq.worker_health.listener is 'How it learns of new requests: listening (NOTIFY), polling (LISTEN is down), off; null for other workers.';
