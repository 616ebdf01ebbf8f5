-- Transient failures in a row open the breaker of a model. True when this one was a probe: the model was known to
-- be in trouble, and the request only happened to be the one that asked whether it is back.
create function llmq.note_failure(held llmq.in_flight, reason text) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_state llmq.model_state;
begin
  insert into llmq.model_state as s (lane, failures) values (held.lane, 1)
  on conflict on constraint model_state_pkey do update set failures = s.failures + 1, updated_at = clock_timestamp()
  returning s.* into v_state;
  -- Begun before the cool-down that is on or just over: it was known already.
  if held.started_at < v_state.cooling_until then
    return v_state.admit is not null;
  end if;
  if v_state.admit is not null or v_state.failures >= (llmq.setting('breaker_failures'))::int then
    perform llmq.cool_down(held.lane, 'transient', reason);
  end if;
  return v_state.admit is not null;
end
$$;
comment on function llmq.note_failure(llmq.in_flight, text) is 'Internal: what a transient failure means for the breaker of its model; whether it was a probe.';
