create function llmq.check_failure_list(failures jsonb) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_class text;
begin
  if failures is null or jsonb_typeof(failures) <> 'array' then
    raise exception using errcode = 'LQ001', message = 'failures must be an array of objects';
  end if;
  select f.failure ->> 'error_class' into v_class
  from jsonb_array_elements(failures) as f (failure)
  where coalesce(f.failure ->> 'error_class', '') not in (
    'transient', 'exception', 'capacity', 'out_of_quota', 'configuration', 'too_long', 'invalid', 'refused',
    'truncated', 'bad_request', 'deadline', 'lost'
  )
  limit 1;
  if found then
    raise exception using errcode = 'LQ001', message = format('unknown error_class %s', coalesce(quote_literal(v_class), 'null')),
      hint = 'One of transient, exception, capacity, out_of_quota, configuration, too_long, invalid, refused, truncated, bad_request, deadline, lost.';
  end if;
end
$$;
comment on function llmq.check_failure_list(jsonb) is 'Internal: the shape of reported failures (LQ001).';
