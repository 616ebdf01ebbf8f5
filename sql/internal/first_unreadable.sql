-- jsonb_to_recordset() reads the whole array at once and does not say which element it stumbled over.
create function llmq.first_unreadable(requests jsonb) returns int
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_item  jsonb;
  v_place bigint;
begin
  for v_item, v_place in select e.item, e.place from jsonb_array_elements(requests) with ordinality as e (item, place) loop
    begin
      perform r.*
      from jsonb_to_record(v_item) as r (
        agent_id text, task_type text, complexity text, model text, priority int, run_at timestamptz,
        deadline timestamptz, max_attempts int, idempotency_key text, reply_to text, parent_id uuid
      );
    exception when data_exception then
      return v_place - 1;
    end;
  end loop;
  return null;
end
$$;
comment on function llmq.first_unreadable(jsonb) is 'Internal: place, from 0, of the first request with a value of the wrong type; null when there is none.';
