create function llmq.raise_invalid(message text, detail text, hint text) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception using errcode = 'LQ001', message = message, detail = coalesce(detail, ''), hint = coalesce(hint, '');
end
$$;
comment on function llmq.raise_invalid(text, text, text) is 'Internal: raises LQ001 (invalid input).';
