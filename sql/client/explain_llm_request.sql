create function llmq.explain_llm_request(request_id uuid) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_row   record;
  v_queue llmq.queue;
  v_model record;
  v_why   text;
begin
  select v.id, v.agent_id, v.status, v.model, v.provider, v.run_at, v.deadline, v.error_type, v.error_message,
    v.attempts, v.max_attempts, v.capacity_waits, v.reasks, v.crashes, v.created_at, v.started_at, v.finished_at
  into v_row
  from llmq.all_llm_requests as v where v.id = request_id;
  if not found or not llmq.may_use_agent(v_row.agent_id) then
    perform llmq.raise_not_found(request_id);
  end if;
  select q.* into v_queue from llmq.queue as q where q.id = request_id;
  select mo.paused or p.paused as paused, p.kind, s.cooling_until, s.reason
  into v_model
  from llmq.models as mo
  join llmq.providers as p on p.name = mo.provider
  left join llmq.model_state as s on s.lane = mo.lane and s.cooling_until > clock_timestamp()
  where mo.lane = v_queue.lane;

  v_why := case
    when v_row.status = 'completed' then 'It is finished.'
    when v_row.status in ('failed', 'cancelled') then concat_ws(': ', 'It ' || case v_row.status when 'failed' then 'failed' else 'was cancelled' end, v_row.error_message)
    when v_row.status = 'processing' then format('It has been running since %s on worker %s.', v_queue.started_at,
      coalesce((select w.name from llmq.workers as w where w.id = v_queue.worker_id), v_queue.worker_id::text))
    when v_model.kind = 'external' then 'It waits for an external worker: its message is in the pgmq queue llm_requests.'
    when v_queue.run_at > clock_timestamp() then concat(format('It is not due before %s', v_queue.run_at), coalesce('; last error: ' || v_queue.error_message, '.'))
    when v_model.paused then format('The model %s or its provider is paused.', v_row.model)
    when v_model.cooling_until is not null then format('The model %s cools down until %s: %s', v_row.model, v_model.cooling_until, v_model.reason)
    when not exists (select from llmq.workers as w where w.heartbeat_at > clock_timestamp() - w.lost_after and not w.stopping) then 'No orchestrator is alive. Start one: llmq start.'
    else 'It waits for its turn.'
  end;
  return jsonb_strip_nulls(jsonb_build_object(
    'request_id', request_id,
    'status', v_row.status,
    'why', v_why,
    'model', v_row.model,
    'provider', v_row.provider,
    'route', to_jsonb((select r.models from llmq.route_of(v_queue.complexity, v_queue.task_type) as r)),
    'run_at', v_row.run_at,
    'deadline', v_row.deadline,
    'cooling_until', v_model.cooling_until,
    'ahead', case when v_row.status = 'pending' and v_queue.tag is not null then (
      select count(*) from (
        select from llmq.queue as q
        where q.lane = v_queue.lane and q.priority = v_queue.priority and q.status = 'pending' and q.tag is not null and q.tag < v_queue.tag
        limit 10000
      ) as a
    ) end,
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
Returns: {"request_id", "status", "why", "model", "provider", "route": [model names], "run_at", "deadline", "cooling_until", "ahead", "error_type", "error_message", "attempts", "max_attempts", "capacity_waits", "reasks", "crashes", "calls": [{"number", "model", "outcome", "started_at", "latency_ms", "status_code", "error_message", "input_tokens", "output_tokens"}]}. ahead: requests of the same model and priority that come first, counted to 10,000.
Errors: LQ002 unknown or not yours.
Example: select jsonb_pretty(llmq.explain_llm_request('01890a5d-ac96-774b-bcce-b302099a8057'));$$;
