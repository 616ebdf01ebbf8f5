create function llmq.register_worker(
  name       text,
  lost_after interval = '20 seconds',
  info       jsonb = '{}'
) returns uuid
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  insert into llmq.workers (name, lost_after, info) values (name, lost_after, info) returning id
$$;
comment on function llmq.register_worker(text, interval, jsonb) is
$$A new worker; returns its id.
name: for people, for example host and process number.
lost_after: at least 1 second. Call llmq.heartbeat_worker() more often than this, or what the worker holds is given to others.
info: anything worth seeing in llmq.workers.$$;
