create function llmq.remaining_of(rate_limit jsonb, dimension text) returns bigint
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  -- Some write "unlimited" as the largest number they know.
  select case when r.remaining < 1e15 then greatest(r.remaining, 0)::bigint end
  from (values ((rate_limit #>> array[dimension, 'remaining'])::double precision)) as r (remaining)
$$;
comment on function llmq.remaining_of(jsonb, text) is
$$Internal: what a provider says is left of a limit; null: it does not say, or has no bound.
rate_limit: as in llmq.sync_rate_limits().
dimension: requests, tokens, input_tokens or output_tokens.$$;
