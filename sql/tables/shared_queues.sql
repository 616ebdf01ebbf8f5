create table llmq.shared_queues (
  queue_name  text primary key,
  handler     text not null,
  enabled     boolean not null default true,
  max_reads   integer not null default 5,
  retry_after interval not null default '30 seconds',
  constraint shared_queues_handler check (handler ~ '^[^\s]+\.[^\s]+$'),
  constraint shared_queues_max_reads check (max_reads between 1 and 1000)
);
comment on table llmq.shared_queues is 'pgmq queues that orchestrators empty (loop b), and the SQL function that each message is given to.';
comment on column llmq.shared_queues.handler is 'schema.function (queue_name text, message_id bigint, message jsonb) returns void. It runs in the transaction that archives the message: exactly once. The queue llm_results is validated by the orchestrator instead.';
comment on column llmq.shared_queues.max_reads is 'A message whose handler failed this often is set aside (llmq.set_aside).';
comment on column llmq.shared_queues.retry_after is 'Pause before a failed message is handled again; those behind it do not wait.';
comment on column llmq.shared_queues.enabled is 'False: its messages stay where they are.';
