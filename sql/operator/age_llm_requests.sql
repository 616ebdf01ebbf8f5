-- Priority comes first, and nothing starves: a ready request that others of a higher priority have kept waiting
-- climbs by one, and again after as long. Where nothing of a higher priority waits, nothing has to climb.
create function llmq.age_llm_requests(max_requests int = 500) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_after interval := (llmq.setting('ageing') #>> '{}')::interval;
  v_mark  record;
  v_rows  int;
  v_aged  int := 0;
begin
  if v_after is null or v_after <= interval '0' then
    return 0;
  end if;
  for v_mark in
    select m.lane, m.priority, m.scan
    from llmq.lane_marks as m
    where m.priority < 100
      and not exists (select from llmq.model_state as s where s.lane = m.lane and s.cooling_until > clock_timestamp())
      and exists (
        select from llmq.lane_marks as o
        where o.priority > m.priority
          and (
            select 1 from llmq.queue as q
            where q.lane = o.lane and q.priority = o.priority and q.tag is not null and q.tag >= o.scan
            order by q.tag
            limit 1
          ) is not null
      )
    order by m.lane, m.priority
  loop
    insert into llmq.lane_marks (lane, priority) values (v_mark.lane, v_mark.priority + 1) on conflict do nothing;
    update llmq.queue as q
    set priority = q.priority + 1, tag = null, run_at = clock_timestamp(), updated_at = clock_timestamp()
    where q.id = any (array(
      select h.id
      from (
        select b.id, b.run_at
        from llmq.queue as b
        where b.lane = v_mark.lane and b.priority = v_mark.priority and b.tag is not null
          and b.tag >= v_mark.scan
        order by b.tag
        limit max_requests
        for update skip locked
      ) as h
      where h.run_at < clock_timestamp() - v_after
    ));
    get diagnostics v_rows = row_count;
    v_aged := v_aged + v_rows;
  end loop;
  return v_aged;
end
$$;
comment on function llmq.age_llm_requests(int) is
$$Raises requests that waited for the setting ageing behind others of a higher priority by one priority. Returns how many. llmq.maintain() calls it every second.
max_requests: the most to look at for each lane and priority.$$;
