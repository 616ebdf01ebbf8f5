-- What must happen every second whoever does it: orchestrators all call this, one works.
create function llmq.maintain() returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if not pg_try_advisory_xact_lock(hashtextextended('llmq.maintain', 0)) then
    return null;
  end if;
  if (select s.swept_at from llmq.sweep_state as s) > clock_timestamp() - interval '900 milliseconds' then
    return null;
  end if;
  -- A claim whose transaction stays open holds this row: not a reason to leave lost requests where they are.
  update llmq.sweep_state as s
  set swept_at = clock_timestamp()
  where s.only_one = any (array(select w.only_one from llmq.sweep_state as w for update skip locked));
  return jsonb_build_object(
    'recovered', llmq.recover_lost_llm_requests(),
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
