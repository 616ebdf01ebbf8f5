create view llmq.queue_depth as
select
  q.status,
  (select m.name from llmq.models as m where m.lane = q.lane) as model,
  q.priority,
  count(*) as requests,
  min(q.created_at) as oldest_created_at,
  clock_timestamp() - min(q.created_at) as oldest_age,
  q.hold as held,
  count(*) filter (where q.run_at <= clock_timestamp()) as due,
  clock_timestamp() - min(q.run_at) filter (where q.run_at <= clock_timestamp()) as oldest_due_age
from (
  select 'pending' as status, w.lane, w.priority::smallint as priority, w.hold::text as hold, w.created_at, w.run_at from llmq.queue as w
  union all
  select 'processing', f.lane, f.priority::smallint, null, f.created_at, f.run_at from llmq.in_flight as f
) as q
group by q.status, q.lane, q.priority, q.hold;
comment on view llmq.queue_depth is
  'How much is waiting or running, per status, model, priority and what holds it, and how old is the oldest? Counts every unfinished request: no prompts, but a million take a fraction of a second.';
comment on column llmq.queue_depth.held is 'agent_paused, agent_concurrency, agent_budget, route_paused or shared (an identical request is in flight); null: nothing holds them.';
comment on column llmq.queue_depth.oldest_age is 'Since it was submitted; it may have been meant for later.';
comment on column llmq.queue_depth.due is 'How many of them could run now, by their run_at.';
comment on column llmq.queue_depth.oldest_due_age is 'For how long the oldest could have run: the one to watch.';
