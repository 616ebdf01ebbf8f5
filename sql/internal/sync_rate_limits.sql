-- The provider's own count, from the headers of an answer. Where it has less left than we think, somebody else
-- uses the same key: the difference is noted as used, until the provider says it is back. Where it has more
-- left, our limits are the stricter ones, and stay.
--
-- Answers come back in any order: an older one knows less use and says nothing that is not known.
create function llmq.sync_rate_limits(held llmq.in_flight[], outcomes jsonb) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_now  timestamptz := clock_timestamp();
  v_said record;
  v_used record;
begin
  for v_said in
    select
      m.meter, m.lanes, m.requests_per_minute, m.input_tokens_per_minute, m.output_tokens_per_minute, m.tokens_per_minute,
      min(llmq.remaining_of(o.rate_limit, 'requests')) as requests,
      max(least((o.rate_limit #>> '{requests,reset_ms}')::double precision, 60000)) as requests_reset,
      min(llmq.remaining_of(o.rate_limit, 'input_tokens')) as input_tokens,
      min(llmq.remaining_of(o.rate_limit, 'output_tokens')) as output_tokens,
      min(llmq.remaining_of(o.rate_limit, 'tokens')) as tokens,
      max(least(greatest(
        (o.rate_limit #>> '{input_tokens,reset_ms}')::double precision, (o.rate_limit #>> '{output_tokens,reset_ms}')::double precision,
        (o.rate_limit #>> '{tokens,reset_ms}')::double precision
      ), 60000)) as tokens_reset
    from unnest(held) as h
    join jsonb_to_recordset(outcomes) as o (request_id uuid, rate_limit jsonb) on o.request_id = h.id and jsonb_typeof(o.rate_limit) = 'object'
    join llmq.lane_meters as m on m.lane = h.lane and m.kind = 'model'
    group by 1, 2, 3, 4, 5, 6
    order by m.meter
  loop
    select u.* into v_used from llmq.meter_use(v_said.meter, '{}', v_now) as u;
    insert into llmq.usage (meter, at, requests, input_tokens, output_tokens)
    select v_said.meter, v_now - interval '61 seconds' + f.reset * interval '1 millisecond', f.requests, f.input_tokens, f.output_tokens
    from (values
      (v_said.requests_reset, greatest(v_said.requests_per_minute - v_used.requests - v_said.requests, 0), 0, 0),
      (
        v_said.tokens_reset, 0,
        greatest(v_said.input_tokens_per_minute - v_used.input_tokens - v_said.input_tokens, 0),
        greatest(
          v_said.output_tokens_per_minute - v_used.output_tokens - v_said.output_tokens,
          v_said.tokens_per_minute - v_used.input_tokens - v_used.output_tokens - v_said.tokens, 0
        )
      )
    ) as f (reset, requests, input_tokens, output_tokens)
    where f.reset > 0 and greatest(f.requests, f.input_tokens, f.output_tokens) > 0;
  end loop;
end
$$;
comment on function llmq.sync_rate_limits(llmq.in_flight[], jsonb) is
$$Internal: lowers the room of limited models to what their provider says is left.
outcomes: [{"request_id", "rate_limit": {"requests": {"limit", "remaining", "reset_ms"}, "tokens", "input_tokens", "output_tokens"}}].$$;
