create function llmq.raise_not_found(request_id uuid) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception using errcode = 'LQ002',
    message = format('request %s does not exist', coalesce(request_id::text, 'null')),
    hint = 'It may have been removed by the retention, not be committed yet, or belong to another role.';
end
$$;
comment on function llmq.raise_not_found(uuid) is 'Internal: raises LQ002.';
