create function llmq.refuse_tools(tools jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_tool     jsonb;
  v_function jsonb;
  v_name     text;
  v_seen     jsonb := '{}';
  v_at       text;
  v_index    int := -1;
  v_example constant text := '{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}';
begin
  if jsonb_typeof(tools) <> 'array' then
    perform llmq.raise_invalid('tools must be null or an array', llmq.describe_value(tools), format('For example [%s].', v_example));
  elsif jsonb_array_length(tools) > 128 then
    perform llmq.raise_invalid('tools must have at most 128 elements', llmq.describe_value(tools), 'Offer fewer tools at a time.');
  end if;
  for v_tool in select t.tool from jsonb_array_elements(tools) as t (tool) loop
    v_index := v_index + 1;
    v_at := format('tools[%s]', v_index);
    if jsonb_typeof(v_tool) <> 'object' then
      perform llmq.raise_invalid(format('%s must be an object', v_at), llmq.describe_value(v_tool), v_example);
    elsif v_tool -> 'type' is distinct from '"function"' then
      perform llmq.raise_invalid(format('%s.type must be ''function''', v_at), llmq.describe_value(v_tool -> 'type'), v_example);
    end if;
    v_function := v_tool -> 'function';
    if jsonb_typeof(v_function) is distinct from 'object' then
      perform llmq.raise_invalid(format('%s.function must be an object', v_at), llmq.describe_value(v_function), v_example);
    end if;
    v_name := case when jsonb_typeof(v_function -> 'name') = 'string' then v_function ->> 'name' end;
    if v_name is null or v_name !~ '^[a-zA-Z0-9_.-]{1,64}$' then
      perform llmq.raise_invalid(
        format('%s.function.name must be 1 to 64 letters, digits, dots, dashes or underscores', v_at),
        llmq.describe_value(v_function -> 'name'), 'Providers refuse other names.'
      );
    elsif v_seen ? v_name then
      perform llmq.raise_invalid(
        format('%s.function.name must differ from the other names', v_at),
        format('tools[%s] is called %s too.', v_seen ->> v_name, quote_literal(v_name)), 'A model calls a tool by its name.'
      );
    elsif jsonb_typeof(v_function -> 'description') <> 'string' then
      perform llmq.raise_invalid(
        format('%s.function.description must be a string', v_at), llmq.describe_value(v_function -> 'description'), 'Or leave it out.'
      );
    elsif jsonb_typeof(v_function -> 'parameters') <> 'object' then
      perform llmq.raise_invalid(
        format('%s.function.parameters must be an object', v_at), llmq.describe_value(v_function -> 'parameters'),
        'A JSON Schema, {"type": "object", "properties": ...}, or leave it out.'
      );
    end if;
    v_seen := v_seen || jsonb_build_object(v_name, v_index);
  end loop;
end
$$;
comment on function llmq.refuse_tools(jsonb) is
  'Internal: raises LQ001 for the first fault in tools, if there is one. The exact but slow half of llmq.check_tools.';
