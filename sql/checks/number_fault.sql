create function llmq.number_fault(value jsonb, lowest numeric, highest numeric, whole boolean) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if jsonb_typeof(value) <> 'number' or value::numeric not between lowest and highest or (whole and value::numeric <> trunc(value::numeric)) then
    return format('must be %s from %s to %s', case when whole then 'an integer' else 'a number' end, lowest, highest);
  end if;
  return null;
end
$$;
comment on function llmq.number_fault(jsonb, numeric, numeric, boolean) is
  'Internal: null for a JSON number in the range (a whole one if asked for), else what it must be.';
