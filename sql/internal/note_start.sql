-- What a claim took from a limited lane, noted at each of its meters; the room that is left.
create function llmq.note_start(room llmq.lane_room, requests int, input_tokens int[], output_tokens int[])
returns llmq.lane_room
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_input  bigint := coalesce((select sum(t) from unnest(input_tokens) as t), 0);
  v_output bigint := coalesce((select sum(t) from unnest(output_tokens) as t), 0);
begin
  insert into llmq.usage (meter, at, requests, input_tokens, output_tokens, oldest_start)
  select m.meter, room.at, requests, v_input, v_output, least(m.oldest, room.at)
  from unnest(room.meters, room.oldest) as m (meter, oldest);
  room.requests := room.requests - requests;
  room.input_tokens := room.input_tokens - v_input;
  room.output_tokens := room.output_tokens - v_output;
  room.tokens := room.tokens - v_input - v_output;
  room.idle := room.idle and v_input + v_output = 0;
  return room;
end
$$;
comment on function llmq.note_start(llmq.lane_room, int, int[], int[]) is 'Internal: writes llmq.usage for calls that a claim begins.';
