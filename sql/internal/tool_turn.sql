-- Calls of the tools that were offered go on in the chat format's own way. Others, made through a response schema,
-- name tools that no provider would know: their turn is the answer as it was, and the results as a user message.
create function llmq.tool_turn(answered llmq.results, tools jsonb, tool_results jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case when tools is not null and not exists (
    select from jsonb_array_elements(answered.parsed_response -> 'tool_calls') as c (call)
    where not exists (
      select from jsonb_array_elements(tools) as t (tool) where t.tool #>> '{function,name}' = c.call ->> 'tool_name'
    )
  ) then
    jsonb_build_array(jsonb_build_object(
      'role', 'assistant',
      'content', answered.parsed_response ->> 'final_response',
      'tool_calls', (
        select jsonb_agg(jsonb_build_object(
          'id', c.call ->> 'id', 'type', 'function',
          'function', jsonb_build_object('name', c.call ->> 'tool_name', 'arguments', (c.call -> 'params')::text)
        ) order by c.place)
        from jsonb_array_elements(answered.parsed_response -> 'tool_calls') with ordinality as c (call, place)
      )
    ))
    || (
      select jsonb_agg(jsonb_build_object(
        'role', 'tool', 'tool_call_id', t.item ->> 'id',
        'content', case when jsonb_typeof(t.item -> 'result') = 'string' then t.item ->> 'result' else (t.item -> 'result')::text end
      ) order by t.place)
      from jsonb_array_elements(tool_results) with ordinality as t (item, place)
    )
  else
    jsonb_build_array(
      jsonb_build_object('role', 'assistant', 'content', coalesce(answered.response, answered.parsed_response::text)),
      jsonb_build_object('role', 'user', 'content', 'Results of the tool calls: ' || tool_results::text)
    )
  end
$$;
comment on function llmq.tool_turn(llmq.results, jsonb, jsonb) is 'Internal: the messages that a turn of tool calls adds to its conversation.';
