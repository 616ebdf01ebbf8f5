-- A call has ended, well or not: what it reserved becomes what it used, and what its agent had to hold back may
-- run. held are the rows as they were in flight.
--
-- The provider counted a call when it arrived. So tokens that were reserved and not used come back as of its
-- start: they leave the window together with the reservation. What was used beyond it counts from now.
--   answered                        what the provider says it used
--   refused before it ran           (limit, quota, key, bad request) a request, no tokens
--   never left                      nothing at all
--   cut, aborted, lost              what was reserved: it may have run to its end
create function llmq.settle(held llmq.in_flight[], outcomes jsonb) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
  v_now  timestamptz := clock_timestamp();
  v_used jsonb;
begin
  if outcomes @? '$[*].rate_limit' then
    perform llmq.sync_rate_limits(held, outcomes);
  end if;
  select jsonb_agg(to_jsonb(u)) into v_used
  from (
    select
      h.id, h.lane, h.agent_id, h.started_at, h.reserved_input, h.reserved_output, h.reserved_usd,
      c.made - 1 as requests,
      case when c.made = 0 or c.refused then 0 else coalesce(c.input_tokens, h.reserved_input) end as input_tokens,
      case when c.made = 0 or c.refused then 0 else coalesce(c.output_tokens, h.reserved_output) end as output_tokens,
      c.input_tokens is not null and not c.refused as known,
      case when c.made = 0 or c.refused then 0 else coalesce((
        select sum(a.cost_usd) from llmq.attempts as a where a.request_id = h.id and a.number > h.calls
      ), h.reserved_usd) end as usd
    from unnest(held) as h
    left join jsonb_to_recordset(outcomes) as o (request_id uuid, calls jsonb) on o.request_id = h.id
    cross join lateral (
      select
        count(*) filter (where not (e.call ->> 'outcome' in ('exception', 'configuration') and e.call ->> 'status_code' is null)) as made,
        coalesce(bool_and(e.call ->> 'outcome' in ('capacity', 'out_of_quota', 'configuration', 'bad_request', 'too_long', 'mode')), false) as refused,
        sum((e.call ->> 'input_tokens')::bigint) as input_tokens, sum((e.call ->> 'output_tokens')::bigint) as output_tokens
      from jsonb_array_elements(coalesce(nullif(o.calls, 'null'), '[]')) as e (call)
    ) as c
    where h.reserved_input is not null or h.reserved_usd is not null
  ) as u;
  if v_used is null then
    return;
  end if;

  insert into llmq.usage (meter, at, requests, input_tokens, output_tokens)
  select m.meter, d.at, sum(d.requests), sum(d.input_tokens), sum(d.output_tokens)
  from jsonb_to_recordset(v_used) as u (
    lane int, started_at timestamptz, reserved_input bigint, reserved_output bigint, requests int, input_tokens bigint, output_tokens bigint
  )
  cross join lateral (values
    (u.started_at, least(u.requests, 0), least(u.input_tokens - u.reserved_input, 0), least(u.output_tokens - u.reserved_output, 0)),
    (v_now, greatest(u.requests, 0), greatest(u.input_tokens - u.reserved_input, 0), greatest(u.output_tokens - u.reserved_output, 0))
  ) as d (at, requests, input_tokens, output_tokens)
  join llmq.lane_meters as m on m.lane = u.lane
  where u.reserved_input is not null
  group by m.meter, d.at
  having num_nonnulls(nullif(sum(d.requests), 0), nullif(sum(d.input_tokens), 0), nullif(sum(d.output_tokens), 0)) > 0;

  insert into llmq.agent_usage (agent_id, at, usd)
  select u.agent_id, u.started_at, sum(u.usd - u.reserved_usd)
  from jsonb_to_recordset(v_used) as u (agent_id text, started_at timestamptz, reserved_usd numeric, usd numeric)
  where u.reserved_usd is not null
  group by u.agent_id, u.started_at
  having sum(u.usd - u.reserved_usd) <> 0;

  perform llmq.learn_tokens(v_used);
end
$$;
comment on function llmq.settle(llmq.in_flight[], jsonb) is 'Internal: corrects limits and budgets by what calls really used, when they end.';
