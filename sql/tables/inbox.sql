create table llmq.inbox (
  id          bigint generated always as identity primary key,
  queue_name  text not null,
  message_id  bigint not null,
  agent_id    text,
  message     jsonb not null,
  received_at timestamptz not null default clock_timestamp(),
  read_at     timestamptz,
  constraint inbox_once unique (queue_name, message_id)
);
create index inbox_unread on llmq.inbox (agent_id, id) where read_at is null;
comment on table llmq.inbox is 'Messages of job_results, approval_responses and question_responses for agents. The agent is told on llmq.inbox_channel(agent_id).';
