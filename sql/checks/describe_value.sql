-- For the DETAIL of an error, which also lands in the server's log: never more than a glimpse.
create function llmq.describe_value(value jsonb) returns text
language sql immutable parallel safe
as $$
  select case coalesce(jsonb_typeof(value), 'missing')
    when 'missing' then 'It is missing.'
    when 'object' then 'It is an object.'
    when 'array' then format('It is an array of %s.', jsonb_array_length(value))
    else format('It is %s.', case when length(value::text) > 60 then left(value::text, 60) || '...' else value::text end)
  end
$$;
comment on function llmq.describe_value(jsonb) is 'Internal: says what a wrong JSON value is, in a few words.';
