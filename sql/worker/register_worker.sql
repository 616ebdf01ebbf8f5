create function llmq.register_worker(
  name       text,
  lost_after interval = '20 seconds',
  info       jsonb = '{}'
) returns uuid
language sql volatile security definer
set search_path = ''
as $$
  insert into llmq.workers (name, lost_after, info) values (name, lost_after, info) returning id
$$;
comment on function llmq.register_worker(text, interval, jsonb) is
  'A new worker and its id. It must call llmq.heartbeat_worker() more often than lost_after, or what it holds is given to others.';
