-- The ledger rows of a batch of outcomes, numbered on from what each request already has.
create function llmq.write_attempts(held llmq.queue[], outcomes jsonb) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  insert into llmq.attempts (
    request_id, number, model, provider, worker_id, outcome, started_at, finished_at, latency_ms, first_byte_ms,
    status_code, error_message, provider_request_id, finish_reason, output_mode, input_tokens, output_tokens,
    cached_input_tokens, reasoning_tokens, cost_usd
  )
  select
    h.id, h.calls + c.place, m.name, m.provider, h.worker_id, c.outcome, coalesce(c.started_at, h.started_at),
    coalesce(c.finished_at, clock_timestamp()), c.latency_ms, c.first_byte_ms, c.status_code,
    left(c.error_message, 2000), c.provider_request_id, c.finish_reason, c.output_mode, c.input_tokens,
    c.output_tokens, c.cached_input_tokens, c.reasoning_tokens, c.cost_usd
  from unnest(held) as h
  join jsonb_to_recordset(outcomes) as o (request_id uuid, claim_id bigint, calls jsonb)
    on o.request_id = h.id and (o.claim_id is null or o.claim_id = h.claim_id)
  left join llmq.models as m on m.lane = h.lane
  cross join lateral rows from (jsonb_to_recordset(o.calls) as (
    outcome text, started_at timestamptz, finished_at timestamptz, latency_ms int, first_byte_ms int,
    status_code smallint, error_message text, provider_request_id text, finish_reason text, output_mode text,
    input_tokens int, output_tokens int, cached_input_tokens int, reasoning_tokens int, cost_usd numeric
  )) with ordinality as c (
    outcome, started_at, finished_at, latency_ms, first_byte_ms, status_code, error_message, provider_request_id,
    finish_reason, output_mode, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, cost_usd, place
  )
$$;
comment on function llmq.write_attempts(llmq.queue[], jsonb) is 'Internal: ledger rows for the calls that outcomes carry; held are the queue rows as they were during the call.';
