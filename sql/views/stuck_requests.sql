create view llmq.stuck_requests as
select
  s.id, s.agent_id, s.task_type, s.model, s.priority, s.status, s.since, clock_timestamp() - s.since as stuck_for, s.why
from llmq.find_stuck_requests() as s;
comment on view llmq.stuck_requests is
  'What has been waiting or running far longer than it should, and why? Pending ones that could have run ten minutes ago, and running ones whose worker is gone or whose calls should have ended: the hundred oldest of each.';
comment on column llmq.stuck_requests.since is 'When it could have run (its run_at), or when its claim began.';
comment on column llmq.stuck_requests.why is 'What stands in its way, in one sentence; llmq.explain_llm_request(id) has more.';
