create table llmq.set_aside (
  id           bigint generated always as identity primary key,
  queue_name   text not null,
  message_id   bigint,
  message      jsonb not null,
  error        text not null,
  set_aside_at timestamptz not null default clock_timestamp()
);
comment on table llmq.set_aside is 'Messages that could not be handled or delivered, with the last error: look, mend the cause, and send the message again with pgmq.send().';
comment on column llmq.set_aside.queue_name is 'The queue it came from, or could not be sent to (reply_to).';
comment on column llmq.set_aside.message_id is 'Its number in pgmq; null for a reply that could not be sent.';
comment on column llmq.set_aside.error is 'Of the last attempt to handle or deliver it.';
