-- What should have moved and did not. Waiting is normal, so is a long call: only what nobody would expect counts.
-- A reason takes a millisecond or so to find; hence the hundred oldest.
create function llmq.find_stuck_requests() returns table (
  id uuid, agent_id text, task_type text, model text, priority smallint, status text, since timestamptz, why text
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now    timestamptz := clock_timestamp();
  v_hidden text[] := llmq.hidden_agents();
  -- One claim may ask, ask again, and still wait for the next batch of outcomes.
  v_calls  double precision := 2 + coalesce((select o.value from llmq.settings as o where o.name = 'validation_retries')::text::int, 1);
  v_call   double precision := coalesce((select o.value from llmq.settings as o where o.name = 'call_timeout')::text::double precision, 600);
  v_held   llmq.in_flight;
  v_queue  llmq.queue;
  v_worker record;
begin
  for v_held in
    select q.*
    from llmq.in_flight as q
    where q.agent_id <> all (v_hidden)
      and (
        not exists (select from llmq.workers as w where w.id = q.worker_id and w.heartbeat_at > v_now - 2 * w.lost_after)
        or q.started_at < v_now - interval '1 second' * v_calls * greatest(v_call, (
          select (r.settings ->> 'timeout')::double precision
          from llmq.requests as r
          where r.id = q.id and q.started_at < v_now - v_calls * v_call * interval '1 second'
        ))
      )
    order by q.started_at
    limit 100
  loop
    select w.name, w.heartbeat_at, w.heartbeat_at > v_now - 2 * w.lost_after as alive into v_worker
    from llmq.workers as w where w.id = v_held.worker_id;
    since := v_held.started_at;
    why := case
      when v_worker.alive then format('Worker %s has had it since %s, longer than its calls may take.', v_worker.name, v_held.started_at)
      when v_worker.name is not null then format('Worker %s has not been heard of since %s, and nobody has given back what it held: is any orchestrator alive?', v_worker.name, v_worker.heartbeat_at)
      else format('Worker %s is gone, and nobody has given back what it held: is any orchestrator alive?', v_held.worker_id)
    end;
    select v_held.id, v_held.agent_id, v_held.task_type, m.name, v_held.priority, 'processing'
    into id, agent_id, task_type, model, priority, status
    from (select) as o left join llmq.models as m on m.lane = v_held.lane;
    return next;
  end loop;

  for v_queue in
    select q.*
    from llmq.queue as q
    where q.run_at < v_now - interval '10 minutes' and q.agent_id <> all (v_hidden)
    order by q.id
    limit 100
  loop
    since := v_queue.run_at;
    why := llmq.why_waiting(v_queue, llmq.requests_ahead(v_queue));
    select v_queue.id, v_queue.agent_id, v_queue.task_type, m.name, v_queue.priority, 'pending'
    into id, agent_id, task_type, model, priority, status
    from (select) as o left join llmq.models as m on m.lane = v_queue.lane;
    return next;
  end loop;
end
$$;
comment on function llmq.find_stuck_requests() is 'Internal: the rows of the view llmq.stuck_requests.';
