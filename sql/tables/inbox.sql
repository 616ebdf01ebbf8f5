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
comment on column llmq.inbox.queue_name is 'The shared queue it came from.';
comment on column llmq.inbox.message_id is 'Its number in pgmq.';
comment on column llmq.inbox.agent_id is 'Whom it is for; null when the message does not say.';
comment on column llmq.inbox.read_at is 'For the reader to set; null: not read.';
