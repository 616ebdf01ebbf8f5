-- Exponential with jitter over half of it: clients that failed together do not come back together.
create function llmq.backoff(attempt int) returns interval
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  select least(
    (llmq.setting('retry_base') #>> '{}')::interval * power(2, least(attempt - 1, 30)),
    (llmq.setting('retry_max') #>> '{}')::interval
  ) * (0.5 + random() / 2)
$$;
comment on function llmq.backoff(int) is 'Internal: how long to wait before the next attempt after the given number of failures (settings retry_base, retry_max).';
