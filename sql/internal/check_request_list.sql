create function llmq.check_request_list(requests jsonb) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_unknown text;
  v_known constant text[] := array[
    'agent_id', 'task_type', 'messages', 'complexity', 'context', 'response_schema', 'tools', 'settings', 'model',
    'priority', 'run_at', 'deadline', 'max_attempts', 'idempotency_key', 'reply_to', 'parent_id'
  ];
begin
  if requests is null or jsonb_typeof(requests) <> 'array' then
    raise exception using errcode = 'LQ001', message = 'requests must be an array of objects',
      detail = format('It is %s.', coalesce(jsonb_typeof(requests), 'null')), hint = 'select * from llmq.submit_llm_requests(''[{"agent_id": ...}]'');';
  end if;
  if jsonb_array_length(requests) > 10000 then
    raise exception using errcode = 'LQ001', message = 'too many requests in one call',
      detail = format('There are %s.', jsonb_array_length(requests)), hint = 'Send at most 10,000 at a time.';
  end if;
  if jsonb_path_exists(requests, 'strict $[*] ? (@.type() != "object")') then
    raise exception using errcode = 'LQ001', message = 'every element of requests must be an object';
  end if;
  select format('requests[%s] has an unknown key %s', r.place - 1, quote_literal(k.key)) into v_unknown
  from jsonb_array_elements(requests) with ordinality as r (request, place)
  cross join lateral jsonb_object_keys(r.request) as k (key)
  where k.key <> all (v_known)
  limit 1;
  if found then
    raise exception using errcode = 'LQ001', message = v_unknown, hint = 'Known keys: ' || array_to_string(v_known, ', ') || '.';
  end if;
end
$$;
comment on function llmq.check_request_list(jsonb) is 'Internal: the outer shape of a bulk submit (LQ001).';
