-- Time-ordered ids: the partition key, the primary key and the order of arrival in one value.
-- Layout: RFC 9562, version 7; the 12 bits after the version carry the fraction of the millisecond, as
-- Postgres 18's own uuidv7() does, so that ids made on one server sort by the microsecond.
do $install$
begin
  if current_setting('server_version_num')::int >= 180000 then
    create function llmq.uuid_v7() returns uuid
      language sql volatile parallel safe
      as 'select pg_catalog.uuidv7()';
  else
    create function llmq.uuid_v7() returns uuid
      language plpgsql volatile parallel safe
      set search_path = pg_catalog, pg_temp
      as $function$
      declare
        v_us bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
      begin
        return (
          lpad(to_hex(v_us / 1000), 12, '0')
          || to_hex(28672 + (v_us % 1000) * 4096 / 1000)
          || substr(gen_random_uuid()::text, 20)
        )::uuid;
      end
      $function$;
  end if;
end
$install$;
comment on function llmq.uuid_v7() is 'A new UUIDv7 (RFC 9562): sorts by the time it was made. Postgres 18 uses its own uuidv7().';
