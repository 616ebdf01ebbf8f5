-- Who may have another's answer: a row for each unfinished request with settings.share or cache_seconds. Beside
-- llmq.queue and not in it, where every other request would carry its columns and its index along.
create table llmq.twins (
  request_id uuid not null,
  share_key  uuid not null,
  leader_id  uuid,
  shares     boolean not null,
  constraint twins_pkey primary key (request_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
-- Identical requests, and who of them waits for whose answer.
create index twins_by_key on llmq.twins (share_key, leader_id);

comment on table llmq.twins is 'Requests that are not finished and may share a call or an answer with identical ones.';
comment on column llmq.twins.request_id is 'A row of llmq.queue.';
comment on column llmq.twins.share_key is 'Hash of all that the model would see: llmq.share_key().';
comment on column llmq.twins.shares is 'It may wait for the answer of an identical request in flight (settings.share).';
comment on column llmq.twins.leader_id is 'The identical request whose answer it waits for, while llmq.queue.hold is shared.';
