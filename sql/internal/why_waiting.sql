-- Why a pending request does not run, in one sentence: the first thing that stands in its way, in the order in
-- which the claim meets them.
create function llmq.why_waiting(waiting llmq.queue, ahead bigint) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_model record;
  v_agent record;
  v_meter record;
begin
  select mo.name, mo.paused, p.paused as provider_paused, p.name as provider, p.kind, s.cooling_until, s.reason, s.admit
  into v_model
  from llmq.models as mo
  join llmq.providers as p on p.name = mo.provider
  left join llmq.model_state as s on s.lane = mo.lane
  where mo.lane = waiting.lane;
  select a.* into v_agent from llmq.agents as a where a.agent_id = waiting.agent_id;

  if v_model.kind = 'external' then
    return 'It waits for an external worker: its message is in the pgmq queue llm_requests.';
  elsif waiting.hold = 'agent_paused' or v_agent.paused then
    return format('The agent %s is paused.', waiting.agent_id);
  elsif waiting.hold = 'agent_concurrency' then
    return format('The agent %s has as many calls in flight as it may: %s.', waiting.agent_id, v_agent.max_concurrency);
  elsif waiting.hold = 'agent_budget' then
    return format('The budget of the agent %s is spent: %s.', waiting.agent_id, concat_ws(' and ',
      round(llmq.agent_spent(waiting.agent_id, 'day'), 4) || ' of ' || v_agent.daily_budget_usd || ' USD today',
      round(llmq.agent_spent(waiting.agent_id, 'month'), 4) || ' of ' || v_agent.monthly_budget_usd || ' USD this month'
    ));
  elsif waiting.hold = 'route_paused' then
    return format('Its route (complexity %s, task type %s) is paused.', waiting.complexity, waiting.task_type);
  elsif waiting.hold = 'shared' then
    return format('It will get the answer of an identical request in flight: %s.',
      (select t.leader_id from llmq.twins as t where t.request_id = waiting.id));
  elsif waiting.run_at > v_now then
    return concat(format('It is not due before %s', waiting.run_at), coalesce('; last error: ' || waiting.error_message, '.'));
  elsif v_model.paused then
    return format('The model %s is paused.', v_model.name);
  elsif v_model.provider_paused then
    return format('The provider %s is paused.', v_model.provider);
  elsif v_model.cooling_until > v_now then
    return format('The model %s cools down until %s: %s', v_model.name, v_model.cooling_until, v_model.reason);
  elsif not exists (select from llmq.workers as w where w.heartbeat_at > v_now - w.lost_after and not w.stopping) then
    return 'No orchestrator is alive. Start one: llmq start.';
  end if;
  for v_meter in
    select m.*, u.requests, u.recent_requests, u.input_tokens, u.output_tokens, u.in_flight
    from llmq.lane_meters as m
    cross join lateral llmq.meter_use(m.meter, m.lanes, v_now) as u
    where m.lane = waiting.lane
  loop
    if v_model.admit <= v_meter.in_flight and v_meter.kind = 'model' then
      return format('The model %s recovers (%s): %s calls at once for now.', v_model.name, v_model.reason, v_model.admit);
    elsif v_meter.max_concurrency <= v_meter.in_flight then
      return format('The %s %s has as many calls in flight as it may: %s.', v_meter.kind, v_meter.name, v_meter.max_concurrency);
    elsif v_meter.requests_per_minute <= v_meter.requests then
      return format('The %s %s is at its limit of %s requests a minute.', v_meter.kind, v_meter.name, v_meter.requests_per_minute);
    elsif v_meter.requests_per_minute >= 60 and ceil(v_meter.requests_per_minute / 10.0) <= v_meter.recent_requests then
      return format('The %s %s is at its limit of %s requests a minute, a tenth of it in six seconds.', v_meter.kind, v_meter.name, v_meter.requests_per_minute);
    end if;
  end loop;
  -- Tokens last: whether there is room depends on how many it takes itself.
  for v_meter in
    select m.*, u.input_tokens, u.output_tokens, e.input_tokens as own_input, e.output_tokens as own_output
    from llmq.lane_meters as m
    cross join lateral llmq.meter_use(m.meter, m.lanes, v_now) as u
    cross join lateral llmq.token_habits(waiting.lane) as h
    cross join lateral llmq.expected_tokens(waiting.id, h.input_factor, h.usual_output) as e
    where m.lane = waiting.lane
      and num_nonnulls(m.input_tokens_per_minute, m.output_tokens_per_minute, m.tokens_per_minute) > 0
  loop
    if v_meter.input_tokens > 0 and v_meter.input_tokens + v_meter.own_input > v_meter.input_tokens_per_minute then
      return format('The %s %s is at its limit of %s input tokens a minute; this request takes about %s.', v_meter.kind, v_meter.name, v_meter.input_tokens_per_minute, v_meter.own_input);
    elsif v_meter.output_tokens > 0 and v_meter.output_tokens + v_meter.own_output > v_meter.output_tokens_per_minute then
      return format('The %s %s is at its limit of %s output tokens a minute; this request takes about %s.', v_meter.kind, v_meter.name, v_meter.output_tokens_per_minute, v_meter.own_output);
    elsif v_meter.input_tokens + v_meter.output_tokens > 0
      and v_meter.input_tokens + v_meter.output_tokens + v_meter.own_input + v_meter.own_output > v_meter.tokens_per_minute
    then
      return format('The %s %s is at its limit of %s tokens a minute; this request takes about %s.', v_meter.kind, v_meter.name, v_meter.tokens_per_minute, v_meter.own_input + v_meter.own_output);
    end if;
  end loop;
  return case when ahead > 0 then format('It waits for its turn: %s come first.', ahead) else 'It is next.' end;
end
$$;
comment on function llmq.why_waiting(llmq.queue, bigint) is 'Internal: the first thing that keeps a pending request from running, in one sentence.';
