-- The part of the claim that looks at single requests, where something is limited, paused or shared: which of
-- the candidates (locked, in the order of their tags) may start, and what each reserves.
--
--   its agent or route is paused, its agent has all its calls in flight
--   or no money left                                                      -> held: out of the way until released
--   over budget, and the agent is set to fail                             -> failed (budget_exceeded)
--   another claim is looking at its agent or its twin                     -> left for the next claim
--   an identical request has its answer, or is in flight                  -> completed from the cache, or held
--   the lane has no room for its tokens                                   -> it and all behind it wait: else
--                                                                            small ones would starve a large one
-- Lock order: agents and twins by try-locks only.
create function llmq.admit_requests(
  candidates uuid[],
  lane       int,
  room       llmq.lane_room,
  most       bigint,
  out ids           uuid[],
  out input_tokens  int[],
  out output_tokens int[],
  out usd           numeric[],
  out limited       uuid[],
  out agents        jsonb,
  out handled       int
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_counts_tokens boolean := num_nonnulls(room.input_tokens, room.output_tokens, room.tokens) > 0;
  v_now           timestamptz := clock_timestamp();
  v_model         text := (select m.name from llmq.models as m where m.lane = admit_requests.lane);
  v_habits        record;
  v_routes_paused boolean := exists (select from llmq.routes as r where r.paused);
  v_in_used       bigint := 0;
  v_out_used      bigint := 0;
  v_agent         jsonb;
  v_leaders       jsonb := '{}';
  v_found_as      text;
  v_twin_id       uuid;
  v_hold          text;
  v_held          uuid[] := '{}';
  v_holds         text[] := '{}';
  v_led_by        uuid[] := '{}';
  v_broke         llmq.in_flight[] := '{}';
  v_row           record;
begin
  ids := '{}';
  limited := '{}';
  agents := '{}';
  handled := 0;
  select h.* into v_habits from llmq.token_habits(lane) as h;
  for v_row in
    select
      q.held, q.id, q.agent_id, q.complexity, q.task_type, q.pinned, s.share_key, s.shares,
      a.agent_id is not null as limited, a.paused, a.max_concurrency is not null as counted, b.budgeted,
      t.input_tokens, t.output_tokens,
      case when b.budgeted then coalesce(llmq.cost_of(p, t.input_tokens, t.output_tokens, 0, 0), 0) end as cost
    from unnest(candidates) with ordinality as c (id, place)
    cross join lateral (select w as held, w.* from llmq.queue as w where w.id = c.id offset 0) as q
    left join llmq.twins as s on s.request_id = q.id
    left join llmq.agents as a
      on a.agent_id = q.agent_id
      and (a.paused or a.max_concurrency is not null or a.daily_budget_usd is not null or a.monthly_budget_usd is not null)
    cross join lateral (select num_nonnulls(a.daily_budget_usd, a.monthly_budget_usd) > 0 as budgeted) as b
    left join lateral llmq.expected_tokens(q.id, v_habits.input_factor, v_habits.usual_output) as t on v_counts_tokens or b.budgeted
    left join lateral llmq.price_at(v_model, v_now, t.input_tokens) as p on b.budgeted
    order by c.place
  loop
    exit when cardinality(ids) >= most;
    v_hold := case
      when v_row.paused then 'agent_paused'
      when v_routes_paused and not v_row.pinned and (select r.paused from llmq.route_of(v_row.complexity, v_row.task_type) as r) then 'route_paused'
    end;
    if v_hold is null and v_row.share_key is not null then
      select t.found_as, t.request_id into v_found_as, v_twin_id
      from llmq.find_twin(v_row.id, v_row.share_key, lane, v_row.shares, v_leaders) as t;
      if v_found_as = 'cached' then
        perform llmq.finish_from(v_row.id, v_twin_id, 'cached');
        handled := handled + 1;
      end if;
      continue when v_found_as in ('cached', 'busy');
      v_hold := case when v_found_as = 'in_flight' then 'shared' end;
    end if;

    if v_hold is null and v_row.limited then
      v_agent := agents -> v_row.agent_id;
      if v_agent is null then
        v_agent := (select to_jsonb(r) from llmq.agent_room(v_row.agent_id) as r);
        agents := agents || jsonb_build_object(v_row.agent_id, v_agent);
      end if;
      continue when not (v_agent ->> 'locked')::boolean;
      if (v_agent ->> 'calls')::bigint <= 0 then
        v_hold := 'agent_concurrency';
      elsif v_row.budgeted and (v_agent ->> 'usd')::numeric < v_row.cost then
        if (v_agent ->> 'fails')::boolean then
          v_broke := v_broke || llmq.unclaimed(v_row.held);
          handled := handled + 1;
          continue;
        end if;
        v_hold := 'agent_budget';
      end if;
    end if;

    if v_hold is not null then
      v_held := v_held || v_row.id;
      v_holds := v_holds || v_hold;
      v_led_by := v_led_by || case when v_hold = 'shared' then v_twin_id end;
      continue;
    end if;
    if v_counts_tokens then
      exit when not (
        (room.idle and ids = '{}')
        or least(
          room.input_tokens - v_in_used - v_row.input_tokens,
          room.output_tokens - v_out_used - v_row.output_tokens,
          room.tokens - v_in_used - v_out_used - v_row.input_tokens - v_row.output_tokens
        ) >= 0
      );
      v_in_used := v_in_used + v_row.input_tokens;
      v_out_used := v_out_used + v_row.output_tokens;
    end if;
    if v_row.limited then
      agents := agents || jsonb_build_object(v_row.agent_id, v_agent || jsonb_build_object(
        'calls', (v_agent ->> 'calls')::bigint - 1, 'usd', (v_agent ->> 'usd')::numeric - v_row.cost
      ));
    end if;
    if v_row.shares then
      v_leaders := v_leaders || jsonb_build_object(v_row.share_key, v_row.id);
    end if;
    if v_row.counted then
      limited := limited || v_row.id;
    end if;
    ids := ids || v_row.id;
    -- 0 where only requests are counted, null where nothing is.
    input_tokens := input_tokens || case when v_counts_tokens then v_row.input_tokens when room.meters is not null then 0 end;
    output_tokens := output_tokens || case when v_counts_tokens then v_row.output_tokens when room.meters is not null then 0 end;
    usd := usd || v_row.cost;
  end loop;

  if v_held <> '{}' then
    update llmq.queue as q
    set tag = null, hold = v_holds[array_position(v_held, q.id)], updated_at = clock_timestamp()
    where q.id = any (v_held);
    update llmq.twins as s
    set leader_id = v_led_by[array_position(v_held, s.request_id)]
    where s.request_id = any (v_held);
    handled := handled + cardinality(v_held);
  end if;
  if v_broke <> '{}' then
    perform llmq.end_unfinished(v_broke, 'failed', 'budget_exceeded', 'The budget of the agent is spent', null);
  end if;
end
$$;
comment on function llmq.admit_requests(uuid[], int, llmq.lane_room, bigint) is
  'Internal: which candidates of a claim may start, with the tokens and US dollars each reserves; handled counts those that were held or ended instead.';
