-- The guarantee behind the marks: ready rows below their lane's mark (their submitter committed late) go
-- back to waiting, and everything that is due and waiting is ranked, however old. Nothing is skipped for ever.
create function llmq.sweep_llm_requests(max_rows int = 500) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_mark record;
  v_rows int;
  v_back int := 0;
begin
  for v_mark in select m.lane, m.priority, m.scan from llmq.lane_marks as m where m.scan > 0 loop
    update llmq.queue as q
    set tag = null, updated_at = clock_timestamp()
    where q.id = any (array(
      select b.id
      from llmq.queue as b
      where b.lane = v_mark.lane and b.priority = v_mark.priority and b.tag is not null
        and b.tag < v_mark.scan
      order by b.tag
      limit max_rows
      for update skip locked
    ));
    get diagnostics v_rows = row_count;
    v_back := v_back + v_rows;
  end loop;
  return v_back + llmq.promote_waiting(max_rows, true);
end
$$;
comment on function llmq.sweep_llm_requests(int) is
$$Finds requests that the claim's low-water marks would miss. Returns how many rows it touched. llmq.maintain() calls it every second.
max_rows: the most for each lane and priority.$$;
