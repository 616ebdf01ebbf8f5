-- The request that others wait for has ended. With an answer, they have it too; without one, the next claim
-- makes one of them ask.
create function llmq.release_twins(ended llmq.in_flight[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ended llmq.twins[];
  v_twin  record;
begin
  with gone as (
    delete from llmq.twins as t
    where t.request_id = any (array(select e.id from unnest(ended) as e))
    returning t
  )
  select array_agg(g.t) into v_ended from gone as g;
  if v_ended is null then
    return;
  end if;
  insert into llmq.cached_answers (share_key, lane, request_id, finished_at, expires_at)
  select distinct on (t.share_key, e.lane)
    t.share_key, e.lane, f.id, f.finished_at,
    f.finished_at + (r.settings ->> 'cache_seconds')::double precision * interval '1 second'
  from unnest(ended) as e
  join unnest(v_ended) as t on t.request_id = e.id
  join llmq.results as f on f.id = e.id and f.status = 'completed'
  join llmq.requests as r on r.id = e.id
  where r.settings ? 'cache_seconds'
    -- An answer from the cache does not become younger by being used.
    and not exists (select from llmq.attempts as a where a.request_id = e.id and a.outcome = 'cached')
  order by t.share_key, e.lane, f.finished_at desc
  on conflict (share_key, lane) do update
  set request_id = excluded.request_id, finished_at = excluded.finished_at, expires_at = excluded.expires_at;

  for v_twin in
    select q.id, e.id as leader, e.lane, f.status = 'completed' as answered
    from unnest(ended) as e
    join unnest(v_ended) as t on t.request_id = e.id
    join llmq.twins as s on s.share_key = t.share_key and s.leader_id = e.id
    join llmq.queue as q on q.id = s.request_id and q.hold = 'shared'
    left join llmq.results as f on f.id = e.id
    order by q.id
    for update of q
  loop
    update llmq.queue as q
    set hold = null, lane = v_twin.lane, run_at = clock_timestamp(), updated_at = clock_timestamp()
    where q.id = v_twin.id;
    if v_twin.answered then
      perform llmq.finish_from(v_twin.id, v_twin.leader, 'shared');
    end if;
  end loop;
end
$$;
comment on function llmq.release_twins(llmq.in_flight[]) is 'Internal: gives the answer of ended requests to the identical ones that wait for it, and to the cache.';
