-- How fast a model is served at present: what its limits count, or else what it finished in the last minute
-- (of the last ten thousand finished).
create function llmq.starts_per_minute(lane int) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select greatest(
    (select sum(u.requests) from llmq.usage as u where u.meter = starts_per_minute.lane and u.at > clock_timestamp() - interval '1 minute'),
    (
      select count(*)
      from (
        select f.model
        from llmq.results as f
        where f.finished_at > clock_timestamp() - interval '1 minute'
        order by f.finished_at desc
        limit 10000
      ) as f
      where f.model = (select m.name from llmq.models as m where m.lane = starts_per_minute.lane)
    )
  )
$$;
comment on function llmq.starts_per_minute(int) is 'Internal: requests of a lane that started or finished within the last minute.';
