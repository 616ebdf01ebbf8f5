create function llmq.refuse_settings(settings jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key   text;
  v_value jsonb;
  v_fault text;
  v_known constant text[] := array[
    'temperature', 'max_tokens', 'top_p', 'top_k', 'seed', 'stop', 'presence_penalty', 'frequency_penalty', 'tool_choice',
    'reasoning_effort', 'provider_options', 'validation_retries', 'timeout', 'share', 'cache_seconds', 'refuse_above'
  ];
begin
  if settings is null then
    return;
  elsif jsonb_typeof(settings) <> 'object' then
    perform llmq.raise_invalid('settings must be an object', llmq.describe_value(settings), 'Leave it out or send {}.');
  end if;
  for v_key, v_value in select e.key, e.value from jsonb_each(settings) as e loop
    if v_key <> all (v_known) then
      perform llmq.raise_invalid(
        format('settings has an unknown key %s', llmq.quote_glimpse(v_key)), llmq.describe_value(v_value),
        format('Known keys: %s. What only one provider knows goes into provider_options.', array_to_string(v_known, ', '))
      );
    end if;
    v_fault := case v_key
      when 'temperature' then llmq.number_fault(v_value, 0, 2, false)
      when 'max_tokens' then llmq.number_fault(v_value, 1, 2147483647, true)
      when 'top_p' then llmq.number_fault(v_value, 0, 1, false)
      when 'top_k' then llmq.number_fault(v_value, 1, 2147483647, true)
      when 'seed' then llmq.number_fault(v_value, -9007199254740991, 9007199254740991, true)
      when 'presence_penalty' then llmq.number_fault(v_value, -2, 2, false)
      when 'frequency_penalty' then llmq.number_fault(v_value, -2, 2, false)
      when 'validation_retries' then llmq.number_fault(v_value, 0, 10, true)
      when 'share' then case when jsonb_typeof(v_value) <> 'boolean' then 'must be true or false' end
      when 'cache_seconds' then llmq.number_fault(v_value, 1, 31536000, true)
      when 'refuse_above' then llmq.number_fault(v_value, 1, 1000000, true)
      when 'timeout' then
        case when v_value = '0' then 'must be more than 0 seconds' else llmq.number_fault(v_value, 0, 86400, false) end
      when 'reasoning_effort' then
        case when v_value not in ('"none"', '"minimal"', '"low"', '"medium"', '"high"', '"xhigh"')
          then 'must be none, minimal, low, medium, high or xhigh' end
      when 'stop' then
        case when jsonb_typeof(v_value) <> 'string' and not (v_value @? 'strict $ ? (@.size() <= 16 && !exists(@[*] ? (@.type() != "string")))') is true
          then 'must be a string or an array of up to 16 strings' end
      when 'tool_choice' then
        case when v_value not in ('"auto"', '"none"', '"required"')
          and not (v_value @? 'strict $ ? (@.type == "function" && @.function.name.type() == "string" && @.function.name != "")') is true
          then 'must be auto, none, required or {"type": "function", "function": {"name": ...}}' end
      when 'provider_options' then
        case when not (v_value @? 'strict $ ? (@.type() == "object" && !exists(@.* ? (@.type() != "object")))') is true
          then 'must be an object with one object per provider' end
    end;
    if v_fault is not null then
      perform llmq.raise_invalid(
        format('settings.%s %s', v_key, v_fault), llmq.describe_value(v_value), 'Leave the key out for the default.'
      );
    end if;
  end loop;
end
$$;
comment on function llmq.refuse_settings(jsonb) is
  'Internal: raises LQ001 for the first fault in settings, if there is one. The exact but slow half of llmq.check_settings.';
