create function llmq.requests_ahead(waiting llmq.queue) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select count(*)
  from (
    select from llmq.queue as q
    where q.lane = waiting.lane and q.priority >= waiting.priority and q.tag is not null
      and (q.priority > waiting.priority or q.tag < waiting.tag)
    limit 10000
  ) as a
$$;
comment on function llmq.requests_ahead(llmq.queue) is 'Internal: how many requests of the same model come before this one, counted to 10,000.';
