-- What must happen every second whoever does it: orchestrators all call this, one works.
--
-- When nobody did it for half the time after which a worker is lost, the server or all orchestrators stood still, and
-- every heartbeat is old: so workers have five seconds to say that they live before any is taken for lost. Not less
-- than half: a maintenance that is merely slow must not look like a standstill, and put recovery off each time.
create function llmq.maintain() returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_swept_at     timestamptz;
  v_standstill   interval;
  v_recover_from timestamptz;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('llmq.maintain', 0)) then
    return null;
  end if;
  select s.swept_at into v_swept_at from llmq.sweep_state as s;
  if v_swept_at > clock_timestamp() - interval '900 milliseconds' then
    return null;
  end if;
  v_standstill := greatest((select min(w.lost_after) / 2 from llmq.workers as w), '3 seconds');
  -- A claim whose transaction stays open holds this row: not a reason to leave lost requests where they are.
  update llmq.sweep_state as s
  set swept_at = clock_timestamp(),
    recover_from = case
      when v_swept_at < clock_timestamp() - v_standstill and v_swept_at > '-infinity'
      then clock_timestamp() + interval '5 seconds'
      else s.recover_from
    end
  where s.only_one = any (array(select w.only_one from llmq.sweep_state as w for update skip locked))
  returning s.recover_from into v_recover_from;
  return jsonb_build_object(
    'recovered', case when v_recover_from > clock_timestamp() then 0 else llmq.recover_lost_llm_requests() end,
    'expired', llmq.expire_llm_requests(),
    'fallen_back', llmq.fall_back_llm_requests(),
    'aged', llmq.age_llm_requests(),
    'released', llmq.release_llm_holds(),
    'compacted', llmq.compact_usage(),
    'swept', llmq.sweep_llm_requests()
  );
end
$$;
comment on function llmq.maintain() is
$$What must happen every second, whoever does it: recover lost requests, fail expired ones, send those that waited too long to their next model, raise those that starve, release what is held no more, sweep. Every orchestrator calls it, one works.
Returns: {"recovered", "expired", "fallen_back", "aged", "released", "compacted", "swept"}, or null when another process did it within the last second.$$;
