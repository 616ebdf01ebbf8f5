-- What has no schema where one belongs is a fault in the common keywords only; in the others (not, if, prefixItems
-- ...) only what is an object is looked into, since the path of llmq.check_response_schema() does not know them.
create function llmq.refuse_response_schema(response_schema jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_place  text;
  v_schema jsonb;
begin
  if response_schema is null or response_schema = 'null' then
    return;
  elsif jsonb_typeof(response_schema) not in ('object', 'boolean') then
    perform llmq.raise_invalid(
      'response_schema must be an object, true or false', llmq.describe_value(response_schema),
      'Send JSON Schema: {"type": "object", "properties": ...}.'
    );
  elsif octet_length(response_schema::text) > 262144 then
    perform llmq.raise_invalid(
      'response_schema must be at most 256 kB', format('It has %s bytes.', octet_length(response_schema::text)),
      'Move what repeats into $defs.'
    );
  elsif response_schema @? '$.**{65}' then
    perform llmq.raise_invalid(
      'response_schema must be at most 64 levels deep', 'It is deeper.', 'Move inner parts into $defs and refer to them with $ref.'
    );
  end if;
  for v_place, v_schema in
    with recursive schema (place, value) as (
      select 'response_schema', response_schema
      union all
      select left(s.place || inner_schema.step, 500), inner_schema.value
      from schema as s
      cross join lateral (
        select '.' || k.keyword, s.value -> k.keyword
        from unnest(array['items', 'additionalProperties', 'not', 'if', 'then', 'else', 'contains', 'propertyNames']) as k (keyword)
        where jsonb_typeof(s.value -> k.keyword) = 'object' or (k.keyword = 'items' and jsonb_typeof(s.value -> 'items') <> 'array')
        union all
        select format('.%s[%s]', k.keyword, e.place - 1), e.value
        from unnest(array['anyOf', 'oneOf', 'allOf', 'items', 'prefixItems']) as k (keyword)
        cross join lateral jsonb_array_elements(
          case when jsonb_typeof(s.value -> k.keyword) = 'array' then s.value -> k.keyword else '[]' end
        ) with ordinality as e (value, place)
        where k.keyword <> 'prefixItems' or jsonb_typeof(e.value) = 'object'
        union all
        select format('.%s.%s', k.keyword, e.key), e.value
        from unnest(array['properties', '$defs', 'definitions', 'patternProperties']) as k (keyword)
        cross join lateral jsonb_each(
          case when jsonb_typeof(s.value -> k.keyword) = 'object' then s.value -> k.keyword else '{}' end
        ) as e (key, value)
        where k.keyword in ('properties', '$defs') or jsonb_typeof(e.value) = 'object'
      ) as inner_schema (step, value)
      where jsonb_typeof(s.value) = 'object'
    )
    select s.place, s.value from schema as s
  loop
    perform llmq.refuse_one_schema(v_schema, v_place);
  end loop;
end
$$;
comment on function llmq.refuse_response_schema(jsonb) is
  'Internal: raises LQ001 for the first fault in response_schema, if there is one. The exact but slow half of llmq.check_response_schema.';
