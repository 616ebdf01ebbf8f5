create function llmq.is_setting(name text, value jsonb) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return coalesce(case
    when name in ('retry_base', 'retry_max', 'ageing') then
      jsonb_typeof(value) = 'string' and (value #>> '{}')::interval between interval '0' and interval '1 year'
    when name = 'pgmq' then jsonb_typeof(value) = 'boolean'
    when name = 'pgmq_payload' then value in ('"reference"', '"full"')
    when name = 'refuse_above' then value = 'null' or value @? 'strict $ ? (@ >= 1 && @ <= 1000000 && @ == @.floor())'
    when name in ('max_attempts', 'max_crashes') then value @? 'strict $ ? (@ >= 1 && @ <= 1000 && @ == @.floor())'
    when name = 'breaker_failures' then value @? 'strict $ ? (@ >= 1 && @ <= 1000000 && @ == @.floor())'
    when name = 'validation_retries' then value @? 'strict $ ? (@ >= 0 && @ <= 10 && @ == @.floor())'
    when name = 'retention_days' then value @? 'strict $ ? (@ >= 1 && @ <= 36500 && @ == @.floor())'
    when name in ('call_timeout', 'first_byte_timeout', 'connect_timeout') then value @? 'strict $ ? (@ > 0 && @ <= 86400)'
  end, false);
-- Text that is no interval.
exception when data_exception then
  return false;
end
$$;
comment on function llmq.is_setting(text, jsonb) is 'Internal: whether there is such a setting, and whether it may have this value.';
