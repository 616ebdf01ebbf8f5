-- The latest date counts first, so that a new price without tiers ends the old tiers too.
--
-- Language sql and no settings: it becomes part of the query around it, one probe of prices_by_model for each
-- call, 3 microseconds. 'manual' is the last source in the order of the alphabet.
create function llmq.price_at(model text, at timestamptz, input_tokens int) returns setof llmq.prices
language sql stable parallel safe rows 1
as $$
  select p.*
  from llmq.prices as p
  where p.model = price_at.model and p.valid_from <= price_at.at
    and (price_at.at at time zone 'UTC')::time >= p.utc_from and (price_at.at at time zone 'UTC')::time < p.utc_until
    and p.min_input_tokens <= coalesce(price_at.input_tokens, 0)
  order by p.source desc, p.valid_from desc, p.utc_from desc, p.utc_until, p.min_input_tokens desc
  limit 1
$$;
comment on function llmq.price_at(text, timestamptz, int) is 'Internal: the row of llmq.prices that holds for a call; none when there is no price.';
