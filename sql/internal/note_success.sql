-- A model that answers is well: failures in a row are forgotten, and a recovering one takes one more call at once
-- for each that ended. held are the rows in flight of these calls.
create function llmq.note_success(held llmq.in_flight[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (
    select from llmq.model_state as s where s.cooldowns > 0 or s.failures > 0 or s.admit is not null
  ) then
    return;
  end if;
  -- Rows that somebody else holds are skipped: a hint is not worth a deadlock with llmq.cool_down(). A call that
  -- began before the cool-down says nothing about what came after it.
  update llmq.model_state as s
  set failures = 0,
      cooldowns = 0,
      admit = case when s.admit + n.calls < 256 then s.admit + n.calls end,
      updated_at = clock_timestamp()
  from (
    select h.lane, count(*)::int as calls
    from unnest(held) as h
    join llmq.model_state as w on w.lane = h.lane and h.started_at >= coalesce(w.cooling_until, '-infinity')
    group by h.lane
  ) as n
  where s.lane = n.lane
    and s.lane = any (array(
      select w.lane
      from llmq.model_state as w
      where (w.cooldowns > 0 or w.failures > 0 or w.admit is not null)
        and w.lane in (select h.lane from unnest(held) as h)
      for update skip locked
    ));
end
$$;
comment on function llmq.note_success(llmq.in_flight[]) is 'Internal: what an answer means for the breaker of its model.';
