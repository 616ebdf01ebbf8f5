-- Unique across the partitions of llmq.requests, which a constraint there could not be.
create table llmq.idempotency_keys (
  agent_id   text not null,
  key        text not null,
  request_id uuid not null,
  primary key (agent_id, key)
);
create index idempotency_keys_by_request on llmq.idempotency_keys (request_id);
comment on table llmq.idempotency_keys is 'The same key from the same agent gives the same request, until its retention ends.';
