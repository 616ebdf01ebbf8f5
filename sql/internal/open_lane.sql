-- How much may start in a limited lane. Takes the locks of its meters, so that nobody else starts anything
-- there before this claim commits; null when another claim has one: it is serving the lane right now.
--
-- The clock is read behind the locks, and never runs backwards in the ledger: a window counts what lies in it.
-- Requests are also held to a tenth of their limit per six seconds (from 60 a minute on): providers measure
-- shorter spans than a minute, and a burst of a whole minute's calls would end in refusals.
create function llmq.open_lane(lane int) returns llmq.lane_room
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_room  llmq.lane_room;
  v_meter record;
  v_used  record;
begin
  v_room.at := clock_timestamp();
  v_room.idle := true;
  for v_meter in
    select m.* from llmq.lane_meters as m where m.lane = open_lane.lane order by m.meter
  loop
    if not pg_try_advisory_xact_lock(hashtextextended('llmq.meter', v_meter.meter)) then
      return null;
    end if;
    v_room.at := greatest(clock_timestamp(), v_room.at, (
      select u.at + interval '1 microsecond'
      from llmq.usage as u
      where u.meter = v_meter.meter
      order by u.at desc
      limit 1
    ));
    select u.* into v_used from llmq.meter_use(v_meter.meter, v_meter.lanes, v_room.at) as u;
    v_room.requests := least(
      v_room.requests,
      v_meter.requests_per_minute - v_used.requests,
      case when v_meter.requests_per_minute >= 60 then ceil(v_meter.requests_per_minute / 10.0) - v_used.recent_requests end,
      v_meter.max_concurrency - v_used.in_flight
    );
    v_room.input_tokens := least(v_room.input_tokens, v_meter.input_tokens_per_minute - v_used.input_tokens);
    v_room.output_tokens := least(v_room.output_tokens, v_meter.output_tokens_per_minute - v_used.output_tokens);
    v_room.tokens := least(v_room.tokens, v_meter.tokens_per_minute - v_used.input_tokens - v_used.output_tokens);
    v_room.idle := v_room.idle and v_used.input_tokens <= 0 and v_used.output_tokens <= 0;
    v_room.meters := v_room.meters || v_meter.meter;
    v_room.oldest := v_room.oldest || coalesce(v_used.oldest_start, v_room.at);
  end loop;
  return v_room;
end
$$;
comment on function llmq.open_lane(int) is 'Internal: locks the meters of a lane and tells what may start there; null when another claim has them.';
