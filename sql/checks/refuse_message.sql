create function llmq.refuse_message(message jsonb, place text) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_role    text;
  v_content constant jsonb := message -> 'content';
  v_calls   boolean;
  v_part    jsonb;
  v_index   int := -1;
begin
  if jsonb_typeof(message) <> 'object' then
    perform llmq.raise_invalid(
      format('%s must be an object', place), llmq.describe_value(message), 'For example {"role": "user", "content": "Hello"}.'
    );
  end if;
  if jsonb_typeof(message -> 'role') = 'string' then
    v_role := message ->> 'role';
  end if;
  if v_role is null or v_role not in ('system', 'developer', 'user', 'assistant', 'tool') then
    perform llmq.raise_invalid(
      format('%s.role must be system, developer, user, assistant or tool', place), llmq.describe_value(message -> 'role'),
      'Roles are those of OpenAI''s chat format.'
    );
  end if;
  if v_role = 'assistant' then
    perform llmq.refuse_tool_calls(message -> 'tool_calls', place || '.tool_calls');
    v_calls := jsonb_typeof(message -> 'tool_calls') = 'array' and message -> 'tool_calls' <> '[]';
    if v_calls and (v_content is null or v_content in ('null', '[]')) then
      return;
    end if;
  elsif v_role = 'tool' and jsonb_typeof(message -> 'tool_call_id') is distinct from 'string' then
    perform llmq.raise_invalid(
      format('%s.tool_call_id must be a string', place), llmq.describe_value(message -> 'tool_call_id'),
      'A tool message names the call that it answers.'
    );
  end if;
  if jsonb_typeof(v_content) = 'string' then
    return;
  elsif v_content is null or jsonb_typeof(v_content) <> 'array' or v_content = '[]' then
    perform llmq.raise_invalid(
      format('%s.content must be a string or a non-empty array of parts', place), llmq.describe_value(v_content),
      'Only an assistant message with tool_calls may go without content.'
    );
  end if;
  for v_part in select e.part from jsonb_array_elements(v_content) as e (part) loop
    v_index := v_index + 1;
    perform llmq.refuse_content_part(v_part, format('%s.content[%s]', place, v_index));
  end loop;
end
$$;
comment on function llmq.refuse_message(jsonb, text) is 'Internal: raises LQ001 for the first fault in one chat message, if there is one.';
