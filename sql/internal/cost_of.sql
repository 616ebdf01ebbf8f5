-- Cached tokens are part of the input and reasoning tokens part of the output. A provider that reports more of
-- the part than of the whole is not allowed to make the rest negative.
--
-- Language sql and one expression: it becomes part of the query around it.
create function llmq.cost_of(
  price llmq.prices, input_tokens int, output_tokens int, cached_input_tokens int, reasoning_tokens int
) returns numeric
language sql immutable parallel safe
as $$
  select trim_scale(0.000001 * (
    price.input_per_million * greatest(coalesce(input_tokens, 0) - coalesce(cached_input_tokens, 0), 0)
    + coalesce(price.cached_input_per_million, price.input_per_million) * coalesce(cached_input_tokens, 0)
    + price.output_per_million * greatest(coalesce(output_tokens, 0) - coalesce(reasoning_tokens, 0), 0)
    + coalesce(price.reasoning_per_million, price.output_per_million) * coalesce(reasoning_tokens, 0)
  ))
$$;
comment on function llmq.cost_of(llmq.prices, int, int, int, int) is 'Internal: US dollars for these tokens at this price; null without a price.';
