-- A claim may take several calls (a re-ask, a larger max_tokens, another way of asking for JSON). Each is in the
-- ledger before the next has ended: whoever cancels the request meanwhile, gives it back or crashes, what was paid for
-- is known. What the claim reserved stays for the call that follows; these count on top of it, from now.
create function llmq.note_llm_calls(request_id uuid, claim_id bigint, calls jsonb) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
#variable_conflict use_variable
declare
  v_held llmq.in_flight;
begin
  if jsonb_typeof(calls) is distinct from 'array' then
    raise exception using errcode = 'LQ001', message = 'calls must be an array of ledger rows',
      hint = 'As for llmq.mark_completed(): [{"outcome", "started_at", "latency_ms", "input_tokens", ...}].';
  end if;
  update llmq.in_flight as f
  set calls = f.calls + jsonb_array_length(note_llm_calls.calls)
  where f.id = request_id and f.claim_id = note_llm_calls.claim_id
  returning f.* into v_held;
  if not found then
    return false;
  end if;
  v_held.calls := v_held.calls - jsonb_array_length(calls);
  perform llmq.write_attempts(array[v_held], jsonb_build_array(jsonb_build_object('request_id', request_id, 'calls', calls)));

  if v_held.reserved_input is not null then
    insert into llmq.usage (meter, at, requests, input_tokens, output_tokens)
    select
      m.meter, clock_timestamp(), jsonb_array_length(calls),
      coalesce((select sum((c.call ->> 'input_tokens')::bigint) from jsonb_array_elements(calls) as c (call)), 0),
      coalesce((select sum((c.call ->> 'output_tokens')::bigint) from jsonb_array_elements(calls) as c (call)), 0)
    from llmq.lane_meters as m
    where m.lane = v_held.lane;
  end if;
  if v_held.reserved_usd is not null then
    insert into llmq.agent_usage (agent_id, at, usd)
    select v_held.agent_id, v_held.started_at, sum(a.cost_usd)
    from llmq.attempts as a
    where a.request_id = note_llm_calls.request_id and a.number > v_held.calls
    having sum(a.cost_usd) <> 0;
  end if;
  return true;
end
$$;
comment on function llmq.note_llm_calls(uuid, bigint, jsonb) is
$$Writes calls into the ledger while their claim goes on with another call; the outcome then reports only what came after. False when this claim no longer holds the request: nothing was changed.
request_id: whose calls.
claim_id: by which the worker holds it.
calls: rows of the ledger, as for llmq.mark_completed.
Errors: LQ001 no array; 55P03 another transaction held the request for a second, nothing was stored.$$;
