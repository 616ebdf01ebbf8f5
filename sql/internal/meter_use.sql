-- What a meter has used: in the last minute, and now. The window is a second longer than the provider's: two
-- calls that were claimed a minute apart may arrive less than a minute apart.
create function llmq.meter_use(meter int, lanes int[], at timestamptz)
returns table (
  requests bigint, recent_requests bigint, input_tokens bigint, output_tokens bigint, in_flight bigint,
  oldest_start timestamptz
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_from timestamptz;
begin
  select
    coalesce(sum(u.requests), 0), coalesce(sum(u.requests) filter (where u.at > meter_use.at - interval '6.1 seconds'), 0),
    coalesce(sum(u.input_tokens), 0), coalesce(sum(u.output_tokens), 0)
  into requests, recent_requests, input_tokens, output_tokens
  from llmq.usage as u
  where u.meter = meter_use.meter and u.at > meter_use.at - interval '61 seconds';

  select n.oldest_start into v_from
  from llmq.usage as n
  where n.meter = meter_use.meter and n.oldest_start is not null
  order by n.at desc
  limit 1;
  select count(*), min(f.started_at) into in_flight, oldest_start
  from unnest(lanes) as l (lane)
  cross join lateral (
    select h.started_at
    from llmq.in_flight as h
    where h.lane = l.lane and h.started_at >= coalesce(v_from, '-infinity')
    offset 0
  ) as f;
  return next;
end
$$;
comment on function llmq.meter_use(int, int[], timestamptz) is
$$Internal: calls and tokens of the last 61 seconds at one meter, calls of the last 6.1 seconds, and calls in flight in its lanes.$$;
