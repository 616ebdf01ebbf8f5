create function llmq.quote_glimpse(value text) returns text
language sql immutable parallel safe
as $$
  select quote_literal(case when length(value) > 60 then left(value, 60) || '...' else value end)
$$;
comment on function llmq.quote_glimpse(text) is 'Internal: the first 60 characters, quoted, for an error.';
