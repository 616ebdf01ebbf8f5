-- pending -> pending in the next lane of its route, without a call. False where the route ends.
create function llmq.pass_over(held llmq.queue, reason text) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_next record;
begin
  select n.step, n.lane into v_next from llmq.next_in_route(llmq.unclaimed(held)) as n;
  if not found then
    return false;
  end if;
  perform llmq.write_attempts(array[llmq.unclaimed(held)], jsonb_build_array(jsonb_build_object(
    'request_id', held.id,
    'calls', jsonb_build_array(jsonb_build_object('outcome', 'passed_over', 'error_message', reason, 'started_at', clock_timestamp()))
  )));
  update llmq.queue as q
  set lane = v_next.lane, route_step = v_next.step, tag = null, run_at = clock_timestamp(), calls = q.calls + 1,
      updated_at = clock_timestamp()
  where q.id = held.id;
  return true;
end
$$;
comment on function llmq.pass_over(llmq.queue, text) is 'Internal: sends a waiting request on to the next model of its route.';
