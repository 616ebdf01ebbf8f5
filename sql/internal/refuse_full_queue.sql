-- Back-pressure, for those who ask for it: better no for an answer now than an answer next week. Counts to the
-- limit and no further.
create function llmq.refuse_full_queue(lane int, refuse_above int) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_depth bigint;
begin
  select count(*) into v_depth
  from (
    (select from llmq.queue as q where q.lane = refuse_full_queue.lane and q.tag is not null limit refuse_above)
    union all
    (
      select from llmq.queue as q
      where q.tag is null and q.hold is null and q.run_at <= clock_timestamp()
        and q.lane = refuse_full_queue.lane
      limit refuse_above
    )
  ) as w;
  if v_depth >= refuse_above then
    raise exception using errcode = 'LQ010',
      message = format('%s or more requests are waiting for model %s', refuse_above, (select quote_literal(m.name) from llmq.models as m where m.lane = refuse_full_queue.lane)),
      detail = 'The limit is settings.refuse_above of this submit or the setting refuse_above, whichever is lower.',
      hint = 'Submit again later, or without the limit. Nothing was stored.';
  end if;
end
$$;
comment on function llmq.refuse_full_queue(int, int) is 'Internal: raises LQ010 when so many requests are due and waiting in a lane.';
