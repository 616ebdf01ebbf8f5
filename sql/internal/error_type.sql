create function llmq.error_type(error_class text) returns text
language sql immutable parallel safe
as $$
  select case error_class
    when 'transient' then 'provider_unavailable'
    when 'capacity' then 'provider_unavailable'
    when 'out_of_quota' then 'provider_unavailable'
    when 'configuration' then 'provider_unavailable'
    when 'invalid' then 'malformed_response'
    when 'deadline' then 'deadline_exceeded'
    else error_class
  end
$$;
comment on function llmq.error_type(text) is 'The error_type that users see for a class of error.';
