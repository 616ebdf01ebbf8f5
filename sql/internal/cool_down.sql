-- A model in trouble is left alone, by every orchestrator, until cooling_until. Where the provider names no
-- time, each cool-down in a row is twice as long as the one before; where it does, a tenth of that is the least, or
-- one that always says 0 would be asked hundreds of times a second. Fifty calls that come back with the
-- same 429 are one cool-down, not fifty. After it the model comes back step by step (see llmq.model_state).
create function llmq.cool_down(lane int, error_class text, reason text, retry_after interval = null) returns timestamptz
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now     timestamptz := clock_timestamp();
  v_base    interval := case error_class
    when 'capacity' then interval '1 second'
    when 'out_of_quota' then interval '10 minutes'
    when 'transient' then interval '2 seconds'
    else interval '30 seconds'
  end;
  v_longest interval := greatest(v_base, interval '5 minutes');
  v_admit   int := 1;
  v_until   timestamptz;
begin
  if error_class = 'capacity' then
    select greatest(1, count(*) / 2) into v_admit
    from llmq.in_flight as h
    where h.lane = cool_down.lane;
  end if;
  insert into llmq.model_state as s (lane, cooling_until, reason, error_class, cooldowns, admit)
  values (cool_down.lane, v_now + greatest(coalesce(retry_after, v_base), v_base / 10), left(cool_down.reason, 500), cool_down.error_class, 1, v_admit)
  on conflict on constraint model_state_pkey do update
  set cooling_until = greatest(
        s.cooling_until,
        v_now + (
          select greatest(coalesce(retry_after, d.doubled), d.doubled / 10)
          from least(v_base * power(2, case when s.cooling_until > v_now then s.cooldowns - 1 else s.cooldowns end), v_longest) as d (doubled)
        )
      ),
      cooldowns = case when s.cooling_until > v_now then s.cooldowns else least(s.cooldowns + 1, 20) end,
      admit = case when s.cooling_until > v_now then s.admit else v_admit end,
      failures = 0, reason = excluded.reason, error_class = excluded.error_class, updated_at = v_now
  returning cooling_until into v_until;
  return v_until;
end
$$;
comment on function llmq.cool_down(int, text, text, interval) is 'Internal: no claim from this lane until the returned time.';
