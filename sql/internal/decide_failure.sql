-- What follows a failed call: THE RETRY POLICY. Pure decision over the row in flight, the class of the error
-- and the clock; llmq.fail_requests() carries it out.
--
--   class           counts as   then
--   transient       attempt     again after a backoff; the next model of the route after the second; failed at max_attempts.
--                               A probe of a model in trouble is a wait (up to twenty: it may be this request that breaks it)
--   exception       attempt     the same, without changing the model
--   capacity        wait        the model cools down; the request waits, or takes the next model if its deadline or the
--                               route's fallback_after comes first
--   out_of_quota    wait        every model of the provider cools down; next model of the route, or wait
--   configuration   wait        the model cools down; next model of the route, or wait
--   too_long        -           a model of the route with a larger context window, else failed
--   invalid         attempt     next model of the route, else failed with the best answer kept
--   lost            crash       again at once; the third crash fails it
--   refused, truncated, bad_request, deadline: failed
create function llmq.decide_failure(
  held        llmq.in_flight,
  error_class text,
  reason      text,
  retry_after interval,
  out verdict    text,         -- again | failed
  out next_lane  int,
  out next_step  smallint,
  out next_run   timestamptz,
  out failures   int,
  out waits      int,
  out crashed    int
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_until timestamptz;
  v_next  record;
begin
  verdict := 'failed';
  next_lane := held.lane;
  next_step := held.route_step;
  next_run := v_now;
  failures := (error_class not in ('capacity', 'out_of_quota', 'configuration', 'too_long', 'lost', 'deadline'))::int;
  waits := (error_class in ('capacity', 'out_of_quota', 'configuration'))::int;
  crashed := (error_class = 'lost')::int;

  case
    when error_class in ('transient', 'exception') then
      if error_class = 'transient' and llmq.note_failure(held, reason) and held.capacity_waits < 20 then
        failures := 0;
        waits := 1;
      end if;
      if held.attempts + failures < held.max_attempts then
        verdict := 'again';
        next_run := v_now + greatest(llmq.backoff(held.attempts + 1), coalesce(retry_after, '0'));
        if error_class = 'transient' and held.attempts + waits + failures >= 2 then
          select n.step, n.lane into next_step, next_lane from llmq.next_in_route(held) as n;
        end if;
      end if;
    when error_class in ('capacity', 'out_of_quota', 'configuration') then
      verdict := 'again';
      if error_class = 'out_of_quota' then
        perform llmq.cool_down(m.lane, error_class, reason, retry_after)
        from llmq.models as m
        where m.provider = (select o.provider from llmq.models as o where o.lane = held.lane)
        order by m.lane;
        select s.cooling_until into v_until from llmq.model_state as s where s.lane = held.lane;
      else
        v_until := llmq.cool_down(held.lane, error_class, reason, retry_after);
      end if;
      if error_class <> 'capacity' or v_until >= held.deadline
        or v_until > held.run_at + (select r.fallback_after from llmq.route_of(held.complexity, held.task_type) as r)
      then
        select n.step, n.lane into next_step, next_lane from llmq.next_in_route(held) as n;
      end if;
    when error_class = 'too_long' then
      select n.step, n.lane into v_next
      from llmq.next_in_route(held, coalesce((select m.context_window from llmq.models as m where m.lane = held.lane), 0)) as n;
      if found then
        verdict := 'again';
        next_step := v_next.step;
        next_lane := v_next.lane;
      end if;
    when error_class = 'invalid' then
      select n.step, n.lane into v_next from llmq.next_in_route(held) as n;
      if found and held.attempts + 1 < held.max_attempts then
        verdict := 'again';
        next_step := v_next.step;
        next_lane := v_next.lane;
      end if;
    when error_class = 'lost' then
      if held.crashes + 1 < (llmq.setting('max_crashes'))::int then
        verdict := 'again';
      end if;
    else
      null;
  end case;
  next_lane := coalesce(next_lane, held.lane);
  next_step := coalesce(next_step, held.route_step);
end
$$;
comment on function llmq.decide_failure(llmq.in_flight, text, text, interval) is 'Internal: the retry policy; see its table in the source.';
