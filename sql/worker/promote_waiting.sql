-- pending (waiting) -> pending (ready): rows that are due get their rank, by the rule of llmq.next_tag().
-- Runs inside the claim; one process at a time (advisory lock), so it needs no lock per agent: a submitter
-- that ranks the same agent at this moment shares its last tag with one promoted row at worst.
--
-- It looks from where it looked last: under a long transaction the head of queue_waiting is dead rows.
-- Rows that were committed late lie below that bound; the sweep calls this without it.
create function llmq.promote_waiting(max_rows int = 500, everything boolean = false) returns int
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_from  timestamptz := '-infinity';
  v_rows  int;
begin
  if not everything then
    select s.promoted_until into v_from from llmq.sweep_state as s;
  end if;
  if not exists (
    select from llmq.queue as q
    where q.tag is null and q.hold is null and q.run_at >= v_from and q.run_at <= v_now
  ) then
    return 0;
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('llmq.promote_waiting', 0)) then
    return 0;
  end if;

  insert into llmq.lane_marks (lane, priority)
  select distinct d.lane, d.priority
  from (
    select q.lane, q.priority
    from llmq.queue as q
    where q.tag is null and q.hold is null and q.run_at >= v_from and q.run_at <= v_now
    order by q.run_at
    limit 10000
  ) as d
  where not exists (select from llmq.lane_marks as m where m.lane = d.lane and m.priority = d.priority)
  on conflict do nothing;

  with due as materialized (
    select q.id, q.lane, q.priority, q.agent_id, q.run_at
    from llmq.queue as q
    where q.tag is null and q.hold is null and q.run_at >= v_from and q.run_at <= v_now
    order by q.run_at
    limit max_rows
    for update skip locked
  ),
  groups as materialized (
    select
      g.lane, g.priority, g.agent_id, m.vt,
      coalesce((select a.weight from llmq.agents as a where a.agent_id = g.agent_id), 1)::double precision as weight,
      (
        select q.tag
        from llmq.queue as q
        where llmq.ranking_key(q.lane, q.priority, q.agent_id) = llmq.ranking_key(g.lane, g.priority, g.agent_id)
          and q.tag is not null and q.tag >= m.vt
        order by q.tag desc
        limit 1
      ) as last_tag
    from (select distinct d.lane, d.priority, d.agent_id from due as d) as g
    join llmq.lane_marks as m on m.lane = g.lane and m.priority = g.priority
  ),
  ranked as materialized (
    select
      d.id,
      greatest(g.vt, g.last_tag)
      + row_number() over (partition by d.lane, d.priority, d.agent_id order by d.id) / g.weight as tag
    from due as d
    join groups as g on g.lane = d.lane and g.priority = d.priority and g.agent_id = d.agent_id
  )
  update llmq.queue as q
  set tag = (select r.tag from ranked as r where r.id = q.id), updated_at = v_now
  where q.id = any (array(select r.id from ranked as r));
  get diagnostics v_rows = row_count;

  -- Two seconds of overlap for submitters whose commit is a little late; the sweep finds the others.
  if v_rows < max_rows then
    update llmq.sweep_state as s
    set promoted_until = v_now - interval '2 seconds'
    where s.only_one = any (array(
      select w.only_one from llmq.sweep_state as w
      where w.promoted_until < v_now - interval '2.1 seconds'
      for update skip locked
    ));
  end if;
  return v_rows;
end
$$;
comment on function llmq.promote_waiting(int, boolean) is 'Internal: ranks waiting requests that are due; how many. Bounded by max_rows.';
