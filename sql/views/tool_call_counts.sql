create view llmq.tool_call_counts as
select
  c.tool_name, c.agent_id, c.model, count(*) as calls, count(distinct c.request_id) as requests, max(c.finished_at) as last_at
from llmq.tool_calls as c
group by c.tool_name, c.agent_id, c.model;
comment on view llmq.tool_call_counts is 'How often was each tool called in the last 24 hours, for which agents and by which models?';
comment on column llmq.tool_call_counts.requests is 'Answers with at least one such call.';
