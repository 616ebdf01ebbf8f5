create function llmq.refuse_tool_calls(tool_calls jsonb, place text) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_call  jsonb;
  v_at    text;
  v_index int := -1;
begin
  -- Client libraries write null for "none" when they send an answer back.
  if tool_calls is null or tool_calls = 'null' then
    return;
  elsif jsonb_typeof(tool_calls) <> 'array' then
    perform llmq.raise_invalid(format('%s must be an array', place), llmq.describe_value(tool_calls), 'Leave it out when there are none.');
  end if;
  for v_call in select e.call from jsonb_array_elements(tool_calls) as e (call) loop
    v_index := v_index + 1;
    v_at := format('%s[%s]', place, v_index);
    if jsonb_typeof(v_call) <> 'object' then
      perform llmq.raise_invalid(
        format('%s must be an object', v_at), llmq.describe_value(v_call),
        '{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}'
      );
    elsif jsonb_typeof(v_call -> 'id') is distinct from 'string' or v_call -> 'id' = '""' then
      perform llmq.raise_invalid(
        format('%s.id must be a non-empty string', v_at), llmq.describe_value(v_call -> 'id'),
        'The tool message that answers the call repeats it in tool_call_id.'
      );
    elsif v_call -> 'type' is distinct from '"function"' then
      perform llmq.raise_invalid(format('%s.type must be ''function''', v_at), llmq.describe_value(v_call -> 'type'), 'No other type is known.');
    elsif jsonb_typeof(v_call -> 'function') is distinct from 'object' then
      perform llmq.raise_invalid(
        format('%s.function must be an object', v_at), llmq.describe_value(v_call -> 'function'),
        '{"name": "get_weather", "arguments": "{\"city\": \"Porto\"}"}'
      );
    elsif jsonb_typeof(v_call #> '{function,name}') is distinct from 'string' or v_call #> '{function,name}' = '""' then
      perform llmq.raise_invalid(
        format('%s.function.name must be a non-empty string', v_at), llmq.describe_value(v_call #> '{function,name}'),
        'It is the name of the tool that was called.'
      );
    elsif jsonb_typeof(v_call #> '{function,arguments}') is distinct from 'string' then
      perform llmq.raise_invalid(
        format('%s.function.arguments must be JSON text', v_at), llmq.describe_value(v_call #> '{function,arguments}'),
        'Send the arguments as a string: "{\"city\": \"Porto\"}".'
      );
    end if;
  end loop;
end
$$;
comment on function llmq.refuse_tool_calls(jsonb, text) is 'Internal: raises LQ001 for the first fault in an assistant''s tool_calls, if there is one.';
