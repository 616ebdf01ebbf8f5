-- A model that cools down is passed over while another one is left: it would only keep the request waiting.
create function llmq.next_in_route(held llmq.in_flight, min_context int = null) returns table (step smallint, lane int)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select r.step::smallint, m.lane
  from llmq.route_of(held.complexity, held.task_type) as o
  cross join lateral unnest(o.models) with ordinality as r (model, step)
  join llmq.models as m on m.name = r.model and not m.paused
  where not held.pinned
    and r.step > held.route_step
    and m.lane <> held.lane
    and (min_context is null or m.context_window > min_context)
  order by exists (select from llmq.model_state as s where s.lane = m.lane and s.cooling_until > clock_timestamp()), r.step
  limit 1
$$;
comment on function llmq.next_in_route(llmq.in_flight, int) is 'Internal: the next model a request may fall back to; no row when it named its model or the route ends.';
