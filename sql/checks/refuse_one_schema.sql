create function llmq.refuse_one_schema(schema jsonb, place text) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_keyword text;
  v_value   jsonb;
  v_types   constant text[] := array['object', 'string', 'array', 'number', 'integer', 'boolean', 'null'];
begin
  if jsonb_typeof(schema) = 'boolean' then
    return;
  elsif jsonb_typeof(schema) <> 'object' then
    perform llmq.raise_invalid(format('%s must be an object, true or false', place), llmq.describe_value(schema), 'A schema goes here.');
  end if;
  v_value := schema -> 'type';
  if v_value is not null and (v_value not in ('"object"', '"string"', '"array"', '"number"', '"integer"', '"boolean"', '"null"')) and (
    jsonb_typeof(v_value) <> 'array' or v_value = '[]'
    or exists (
      select from jsonb_array_elements(v_value) as t (name)
      where jsonb_typeof(t.name) <> 'string' or t.name #>> '{}' <> all (v_types)
    )
  ) then
    perform llmq.raise_invalid(
      format('%s.type must be a type''s name or an array of them', place), llmq.describe_value(v_value),
      format('Types: %s.', array_to_string(v_types, ', '))
    );
  end if;
  v_value := schema -> '$ref';
  if v_value is not null and (jsonb_typeof(v_value) <> 'string' or schema ->> '$ref' not like '#%') then
    perform llmq.raise_invalid(
      format('%s.$ref must be text that starts with #', place), llmq.describe_value(v_value),
      'Other documents are not fetched: put the schema into $defs and refer to "#/$defs/name".'
    );
  end if;
  v_value := schema -> 'required';
  if v_value is not null and (v_value @? 'strict $ ? (@.type() == "array" && !exists(@[*] ? (@.type() != "string")))') is not true then
    perform llmq.raise_invalid(
      format('%s.required must be an array of strings', place), llmq.describe_value(v_value),
      'It lists the required properties, beside properties.'
    );
  end if;
  foreach v_keyword in array array['properties', '$defs'] loop
    if jsonb_typeof(schema -> v_keyword) <> 'object' then
      perform llmq.raise_invalid(
        format('%s.%s must be an object', place, v_keyword), llmq.describe_value(schema -> v_keyword), 'It maps names to schemas.'
      );
    end if;
  end loop;
  foreach v_keyword in array array['anyOf', 'oneOf', 'allOf'] loop
    if jsonb_typeof(schema -> v_keyword) <> 'array' or schema -> v_keyword = '[]' then
      perform llmq.raise_invalid(
        format('%s.%s must be a non-empty array', place, v_keyword), llmq.describe_value(schema -> v_keyword), 'It lists schemas.'
      );
    end if;
  end loop;
end
$$;
comment on function llmq.refuse_one_schema(jsonb, text) is 'Internal: raises LQ001 for a fault in one schema, not in those inside it.';
