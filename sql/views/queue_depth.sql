create view llmq.queue_depth as
select
  q.status,
  (select m.name from llmq.models as m where m.lane = q.lane) as model,
  q.priority,
  count(*) as requests,
  min(q.created_at) as oldest_created_at,
  clock_timestamp() - min(q.created_at) as oldest_age
from llmq.queue as q
group by q.status, q.lane, q.priority;
comment on view llmq.queue_depth is 'How much is waiting or running, per status, model and priority, and how old is the oldest?';
