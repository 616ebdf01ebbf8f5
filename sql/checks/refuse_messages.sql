create function llmq.refuse_messages(messages jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_message jsonb;
  v_index int := -1;
begin
  if messages is null or jsonb_typeof(messages) <> 'array' then
    perform llmq.raise_invalid(
      'messages must be an array', llmq.describe_value(messages), 'For example [{"role": "user", "content": "Hello"}].'
    );
  elsif jsonb_array_length(messages) not between 1 and 10000 then
    perform llmq.raise_invalid(
      case when messages = '[]' then 'messages must not be empty' else 'messages must have at most 10000 elements' end,
      llmq.describe_value(messages), 'Send at least one message, for example [{"role": "user", "content": "Hello"}].'
    );
  end if;
  for v_message in select e.message from jsonb_array_elements(messages) as e (message) loop
    v_index := v_index + 1;
    perform llmq.refuse_message(v_message, format('messages[%s]', v_index));
  end loop;
  perform llmq.check_tool_call_ids(messages);
end
$$;
comment on function llmq.refuse_messages(jsonb) is
  'Internal: raises LQ001 for the first fault in messages, if there is one. The exact but slow half of llmq.check_messages.';
