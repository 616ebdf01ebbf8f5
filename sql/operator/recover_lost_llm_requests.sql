-- processing -> pending: rows of workers whose heartbeat stopped, and rows whose worker is gone. The call
-- may have been made and billed: the ledger says lost. The third crash on one request fails it.
--
-- A heartbeat is old by the time this statement came in: what waited here for a lock, or stood still with the server,
-- has kept the heartbeats waiting as well.
create function llmq.recover_lost_llm_requests(max_requests int = 1000) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_dead     uuid[];
  v_failures jsonb;
  v_count    int;
begin
  select array_agg(w.id) into v_dead
  from (
    select w.id from llmq.workers as w
    where w.heartbeat_at < statement_timestamp() - w.lost_after
    for update skip locked
  ) as w;

  select jsonb_agg(jsonb_build_object(
    'request_id', h.id, 'claim_id', h.claim_id, 'error_class', 'lost',
    'error_message', 'the worker that ran it stopped without a word',
    'calls', '[{"outcome": "lost", "error_message": "may have been billed"}]'::jsonb
  )), count(*)
  into v_failures, v_count
  from (
    select f.id, f.claim_id
    from llmq.in_flight as f
    where f.worker_id = any (v_dead)
      or f.started_at < clock_timestamp() - interval '5 seconds'
         and not exists (select from llmq.workers as w where w.id = f.worker_id)
    order by f.id
    limit max_requests
    for update skip locked
  ) as h;

  if v_count > 0 then
    perform llmq.fail_requests(v_failures);
    perform pg_notify('llmq_wake', '');
  end if;
  if v_count < max_requests then
    delete from llmq.cancellations as c where c.worker_id = any (v_dead);
    delete from llmq.workers as w where w.id = any (v_dead);
  end if;
  return v_count;
end
$$;
comment on function llmq.recover_lost_llm_requests(int) is
$$Gives back what dead workers held: those without a heartbeat for their lost_after, and those that are not registered. The ledger says lost; the third crash (setting max_crashes) fails a request. Returns how many requests. llmq.maintain() calls it every second.
max_requests: the most to give back in one call.$$;
