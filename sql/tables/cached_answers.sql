create table llmq.cached_answers (
  share_key   uuid not null,
  lane        integer not null,
  request_id  uuid not null,
  finished_at timestamptz not null,
  expires_at  timestamptz not null,
  primary key (share_key, lane)
);
create index cached_answers_by_expiry on llmq.cached_answers (expires_at);
comment on table llmq.cached_answers is 'Answers that identical requests with settings.cache_seconds may have again.';
comment on column llmq.cached_answers.share_key is 'llmq.share_key() of the request.';
comment on column llmq.cached_answers.request_id is 'Whose answer it is: a row of llmq.results.';
comment on column llmq.cached_answers.expires_at is 'By the cache_seconds of the request that was answered; whoever asks is also bound by its own.';
