-- The ledger rows of a batch of outcomes, numbered on from what each request already has.
--
-- One plan, kept for the session, whoever calls first: planned anew, one row takes 0.65 ms instead of 0.16, and
-- a plan made for one row (nested loops) would read each side of the joins once per row of a batch. Two calls
-- hardly ever have the same time and tokens: remembering looked-up prices (Memoize) costs more than it saves.
create function llmq.write_attempts(held llmq.in_flight[], outcomes jsonb) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_nestloop = off
set enable_memoize = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
  insert into llmq.attempts (
    request_id, number, model, provider, worker_id, outcome, started_at, finished_at, latency_ms, first_byte_ms,
    status_code, error_message, provider_request_id, finish_reason, output_mode, input_tokens, output_tokens,
    cached_input_tokens, reasoning_tokens, cost_usd
  )
  select
    h.id, h.calls + o.place, m.name, m.provider, h.worker_id, c.call ->> 'outcome', c.started_at,
    coalesce((c.call ->> 'finished_at')::timestamptz, clock_timestamp()),
    (c.call ->> 'latency_ms')::int, (c.call ->> 'first_byte_ms')::int, (c.call ->> 'status_code')::smallint,
    left(c.call ->> 'error_message', 2000), c.call ->> 'provider_request_id', c.call ->> 'finish_reason',
    c.call ->> 'output_mode', c.input_tokens, c.output_tokens, c.cached_input_tokens, c.reasoning_tokens,
    coalesce(c.cost_usd, llmq.cost_of(p, c.input_tokens, c.output_tokens, c.cached_input_tokens, c.reasoning_tokens))
  from unnest(held) as h
  join (
    -- A function in the select list hands over its rows one by one; in FROM it would fill and drop a tuple
    -- store per request.
    select o.request_id, o.claim_id, o.calls, generate_series(1, jsonb_array_length(o.calls)) as place
    from jsonb_to_recordset(outcomes) as o (request_id uuid, claim_id bigint, calls jsonb)
  ) as o on o.request_id = h.id and (o.claim_id is null or o.claim_id = h.claim_id)
  cross join lateral (select o.calls -> (o.place - 1) as call offset 0) as j
  cross join lateral (
    select
      j.call, coalesce((j.call ->> 'started_at')::timestamptz, h.started_at) as started_at,
      (j.call ->> 'input_tokens')::int as input_tokens, (j.call ->> 'output_tokens')::int as output_tokens,
      (j.call ->> 'cached_input_tokens')::int as cached_input_tokens,
      (j.call ->> 'reasoning_tokens')::int as reasoning_tokens, (j.call ->> 'cost_usd')::numeric as cost_usd
    offset 0
  ) as c
  left join llmq.models as m on m.lane = h.lane
  left join lateral llmq.price_at(m.name, c.started_at, c.input_tokens) as p
    on c.cost_usd is null and (c.input_tokens is not null or c.output_tokens is not null);
end
$$;
comment on function llmq.write_attempts(llmq.in_flight[], jsonb) is 'Internal: ledger rows for the calls that outcomes carry; held are the rows as they were in flight.';
