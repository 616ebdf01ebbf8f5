create table llmq.cancellations (
  worker_id  uuid not null,
  claim_id   bigint not null,
  request_id uuid not null,
  primary key (worker_id, claim_id)
);
comment on table llmq.cancellations is 'Running calls that a worker should abort: their request was cancelled or ran out of time. Taken by llmq.take_cancellations().';
