-- held -> waiting: what the agents could not start becomes due now, as much of it as they have room for. What
-- turns out to be too much, the claim holds again.
-- Lock order: queue rows by agent, reason, priority and id, skipping what others hold.
create function llmq.release_held(agent_ids text[], max_rows int = 1000) returns int
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_agent record;
  v_rows  int;
  v_total int := 0;
begin
  for v_agent in
    select h.agent_id, r.reason, case r.reason
        when 'agent_paused' then case when a.paused then 0 end
        when 'agent_concurrency' then a.max_concurrency - (
          select count(*) from llmq.in_flight as f where f.agent_id = h.agent_id
        )
        -- What a call costs is not known here: some at a time.
        when 'agent_budget' then case
          when least(
            a.daily_budget_usd - llmq.agent_spent(h.agent_id, 'day'), a.monthly_budget_usd - llmq.agent_spent(h.agent_id, 'month')
          ) <= 0 then 0 when num_nonnulls(a.daily_budget_usd, a.monthly_budget_usd) > 0 then 50 end
      end as room
    from (select distinct u.id as agent_id from unnest(agent_ids) as u (id) order by 1) as h
    cross join unnest('{agent_paused,agent_concurrency,agent_budget}'::llmq.hold_reason[]) as r (reason)
    left join llmq.agents as a on a.agent_id = h.agent_id
    -- Not exists (...): that becomes a join, and reads everything that is held.
    where (select 1 from llmq.queue as q where q.hold = r.reason and q.agent_id = h.agent_id limit 1) is not null
    order by h.agent_id
  loop
    continue when v_agent.room <= 0;
    update llmq.queue as q
    set hold = null, run_at = clock_timestamp(), updated_at = clock_timestamp()
    where q.id = any (array(
      select b.id
      from llmq.queue as b
      where b.hold = v_agent.reason and b.agent_id = v_agent.agent_id
      order by b.priority desc, b.id
      limit least(coalesce(v_agent.room, max_rows), max_rows)
      for update skip locked
    ));
    get diagnostics v_rows = row_count;
    v_total := v_total + v_rows;
  end loop;
  return v_total;
end
$$;
comment on function llmq.release_held(text[], int) is
$$Internal: lets requests that were held because of these agents' limits wait for a claim again, as far as there is room; how many.
max_rows: the most for each agent and reason.$$;
