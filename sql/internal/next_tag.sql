-- Fair tags. A group's tags follow the lane's virtual time, or the agent's own last tag where that is
-- later, in steps of 1/weight: an agent with 100,000 waiting rows delays nobody else's first.
--
-- Two submitters of one agent must not read the same "last tag", or ten connections would get ten shares.
-- So ranking needs the advisory lock of (lane, priority, agent); whoever does not get it leaves its rows
-- waiting, and the next claim ranks them (llmq.promote_waiting). The lock is taken before the probe, in a
-- statement of its own: the probe's snapshot must be younger than the lock.
create function llmq.next_tag(lane int, priority int, agent_id text) returns double precision
language plpgsql volatile
-- The probe's plan is made when the queue is empty, as a queue mostly is, and kept when it is not.
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
set search_path = pg_catalog, pg_temp
as $$
declare
  v_vt double precision;
begin
  -- No mark yet: promotion makes it. Making it here would let submitters wait for each other's commits.
  select m.vt into v_vt
  from llmq.lane_marks as m
  where m.lane = next_tag.lane and m.priority = next_tag.priority;
  if not found then
    return null;
  end if;
  if not pg_try_advisory_xact_lock(llmq.ranking_key(lane, priority, agent_id)) then
    return null;
  end if;
  return greatest(v_vt, (
    select q.tag
    from llmq.queue as q
    where llmq.ranking_key(q.lane, q.priority, q.agent_id) = llmq.ranking_key(next_tag.lane, next_tag.priority, next_tag.agent_id)
      and q.tag is not null and q.tag >= v_vt
    order by q.tag desc
    limit 1
  ));
end
$$;
comment on function llmq.next_tag(int, int, text) is 'Internal: the tag after which this agent''s next request is ranked; null when another transaction is ranking the same agent.';
