create function llmq.check_tool_results(answered llmq.results, tool_results jsonb) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_bad text;
begin
  if tool_results is null or jsonb_typeof(tool_results) <> 'array' then
    raise exception using errcode = 'LQ001', message = 'tool_results must be an array',
      hint = '[{"id": "call_1", "result": {"temperature": 21}}]';
  end if;
  select format('tool_results[%s] must be an object with id (text) and result', t.place - 1) into v_bad
  from jsonb_array_elements(tool_results) with ordinality as t (item, place)
  where jsonb_typeof(t.item) <> 'object' or jsonb_typeof(t.item -> 'id') is distinct from 'string' or not t.item ? 'result'
  limit 1;
  if found then
    raise exception using errcode = 'LQ001', message = v_bad, hint = '[{"id": "call_1", "result": {"temperature": 21}}]';
  end if;
  if answered.status <> 'completed' or coalesce(jsonb_array_length(
    case when jsonb_typeof(answered.parsed_response -> 'tool_calls') = 'array' then answered.parsed_response -> 'tool_calls' end
  ), 0) = 0 then
    raise exception using errcode = 'LQ009', message = format('request %s has no tool calls', answered.id),
      detail = format('It is %s.', answered.status), hint = 'Look at parsed_response -> ''tool_calls''.';
  end if;
  select format('the call %s has no result', quote_literal(c.call ->> 'id')) into v_bad
  from jsonb_array_elements(answered.parsed_response -> 'tool_calls') as c (call)
  where not exists (select from jsonb_array_elements(tool_results) as t (item) where t.item ->> 'id' = c.call ->> 'id')
  limit 1;
  if not found then
    select format('there is no call %s', quote_literal(t.item ->> 'id')) into v_bad
    from jsonb_array_elements(tool_results) as t (item)
    where not exists (
      select from jsonb_array_elements(answered.parsed_response -> 'tool_calls') as c (call) where c.call ->> 'id' = t.item ->> 'id'
    )
    limit 1;
  end if;
  if v_bad is null then
    select format('two results for the call %s', quote_literal(t.item ->> 'id')) into v_bad
    from jsonb_array_elements(tool_results) as t (item)
    group by t.item ->> 'id'
    having count(*) > 1
    limit 1;
  end if;
  if v_bad is not null then
    raise exception using errcode = 'LQ009', message = v_bad,
      detail = format('The calls are %s.', (
        select string_agg(quote_literal(c.call ->> 'id'), ', ') from jsonb_array_elements(answered.parsed_response -> 'tool_calls') as c (call)
      )),
      hint = 'Give exactly one result for each call.';
  end if;
end
$$;
comment on function llmq.check_tool_results(llmq.results, jsonb) is 'Internal: every call of a turn answered once, and nothing else (LQ001, LQ009).';
