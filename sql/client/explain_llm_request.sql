create function llmq.explain_llm_request(request_id uuid) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_row    record;
  v_queue  llmq.queue;
  v_held   llmq.in_flight;
  v_ahead  bigint;
  v_due    timestamptz;
  v_starts bigint;
begin
  select v.id, v.agent_id, v.status, v.model, v.provider, v.run_at, v.deadline, v.error_type, v.error_message,
    v.attempts, v.max_attempts, v.capacity_waits, v.reasks, v.crashes, v.created_at, v.started_at, v.finished_at
  into v_row
  from llmq.all_llm_requests as v where v.id = request_id;
  if not found or not llmq.may_use_agent(v_row.agent_id) then
    perform llmq.raise_not_found(request_id);
  end if;
  select q.* into v_queue from llmq.queue as q where q.id = request_id;
  select h.* into v_held from llmq.in_flight as h where h.id = request_id;
  if v_row.status = 'pending' then
    v_held := llmq.unclaimed(v_queue);
    v_ahead := llmq.requests_ahead(v_queue);
    v_due := greatest(clock_timestamp(), v_row.run_at, (select s.cooling_until from llmq.model_state as s where s.lane = v_queue.lane));
    v_starts := llmq.starts_per_minute(v_queue.lane);
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'request_id', request_id,
    'status', v_row.status,
    'why', case v_row.status
      when 'pending' then llmq.why_waiting(v_queue, v_ahead)
      when 'processing' then format('It has been running since %s on worker %s.', v_held.started_at,
        coalesce((select w.name from llmq.workers as w where w.id = v_held.worker_id), v_held.worker_id::text))
      when 'completed' then 'It is finished.'
      else concat_ws(': ', 'It ' || case v_row.status when 'failed' then 'failed' else 'was cancelled' end, v_row.error_message)
    end,
    'model', v_row.model,
    'provider', v_row.provider,
    'route', to_jsonb((select r.models from llmq.route_of(v_held.complexity, v_held.task_type) as r)),
    'run_at', v_row.run_at,
    'deadline', v_row.deadline,
    'held', v_queue.hold,
    'cooling_until', (select s.cooling_until from llmq.model_state as s where s.lane = v_held.lane and s.cooling_until > clock_timestamp()),
    'ahead', v_ahead,
    'starts_per_minute', v_starts,
    'estimated_start', case
      when v_queue.hold is not null then null
      when exists (
        select from llmq.models as m
        join llmq.providers as p on p.name = m.provider
        where m.lane = v_queue.lane and (m.paused or p.paused or p.kind = 'external')
      ) then null
      when v_ahead = 0 then v_due
      when v_ahead < 10000 and v_starts > 0 then v_due + v_ahead::double precision / v_starts * interval '1 minute'
    end,
    'limits', (
      select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
        m.kind, m.name,
        'requests_per_minute', m.requests_per_minute, 'requests', u.requests,
        'input_tokens_per_minute', m.input_tokens_per_minute, 'input_tokens', u.input_tokens,
        'output_tokens_per_minute', m.output_tokens_per_minute, 'output_tokens', u.output_tokens,
        'tokens_per_minute', m.tokens_per_minute,
        'max_concurrency', m.max_concurrency, 'in_flight', u.in_flight
      )) order by m.kind)
      from llmq.lane_meters as m
      cross join lateral llmq.meter_use(m.meter, m.lanes, clock_timestamp()) as u
      where m.lane = v_held.lane
    ),
    'error_type', v_row.error_type,
    'error_message', v_row.error_message,
    'attempts', v_row.attempts,
    'max_attempts', v_row.max_attempts,
    'capacity_waits', v_row.capacity_waits,
    'reasks', v_row.reasks,
    'crashes', v_row.crashes,
    'calls', (
      select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
        'number', a.number, 'model', a.model, 'outcome', a.outcome, 'started_at', a.started_at, 'latency_ms', a.latency_ms,
        'status_code', a.status_code, 'error_message', a.error_message, 'input_tokens', a.input_tokens, 'output_tokens', a.output_tokens
      )) order by a.number)
      from llmq.attempts as a
      where a.request_id = explain_llm_request.request_id
    )
  ));
end
$$;
comment on function llmq.explain_llm_request(uuid) is
$$Why a request is not running, or what happened to it: one sentence in "why", and the facts around it. Keys without a value are left out.
request_id: what the submit returned.
Returns: {"request_id", "status", "why", "model", "provider", "route": [model names], "run_at", "deadline", "held", "cooling_until", "ahead", "starts_per_minute", "estimated_start", "limits": [{"model" or "provider": name, each limit, and what is used of it}], "error_type", "error_message", "attempts", "max_attempts", "capacity_waits", "reasks", "crashes", "calls": [{"number", "model", "outcome", "started_at", "latency_ms", "status_code", "error_message", "input_tokens", "output_tokens"}]}. ahead: requests of the same model that come first, counted to 10,000. estimated_start: when it is due and those before it have started, at the pace of the last minute; left out where nothing was started in it, while it is held, and while its model is paused.
Errors: LQ002 unknown or not yours.
Example: select jsonb_pretty(llmq.explain_llm_request('01890a5d-ac96-774b-bcce-b302099a8057'));$$;
