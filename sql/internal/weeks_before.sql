create function llmq.weeks_before(before timestamptz) returns table (suffix text, from_id uuid, to_id uuid)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select w.suffix, llmq.uuid_v7_floor(w.week), llmq.uuid_v7_floor(w.week + interval '168 hours')
  from (
    select s.suffix, to_timestamp(s.suffix || ' 00:00:00+00', 'YYYYMMDD HH24:MI:SSTZH') as week
    from (
      select substr(c.relname, length('results_') + 1) as suffix
      from pg_catalog.pg_inherits as i
      join pg_catalog.pg_class as c on c.oid = i.inhrelid
      where i.inhparent = 'llmq.results'::regclass
    ) as s
    where s.suffix ~ '^\d{8}$'
  ) as w
  where w.week + interval '168 hours' <= before
  order by w.week
$$;
comment on function llmq.weeks_before(timestamptz) is 'Internal: weekly partitions that end before a moment.';
