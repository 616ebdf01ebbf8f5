-- The copy to the pgmq queue llm_requests, in the submitting transaction. Rows are written into the queue's
-- table instead of through pgmq.send_batch(), which plans its statement anew at every call: 15 microseconds
-- against 65. Only the columns vt and message are named, which every version of pgmq has had; the table's
-- triggers fire as ever, and reading and archiving go through pgmq's own functions.
create function llmq.pgmq_message(new llmq.new_request, payload jsonb) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case when payload = '"full"' then
    -- Not jsonb_strip_nulls(): it would reach into the messages, where "content": null is part of a call.
    (
      select jsonb_object_agg(f.key, f.value) || jsonb_build_object('request_id', new.id)
      from jsonb_each(to_jsonb(new) - '{id,lane,weight,external}'::text[]) as f
      where f.value <> 'null'
    )
  else
    jsonb_build_object('request_id', new.id, 'agent_id', new.agent_id, 'task_type', new.task_type, 'complexity', new.complexity)
  end || case when new.external then '{"executor": "external"}'::jsonb else '{}' end
$$;
comment on function llmq.pgmq_message(llmq.new_request, jsonb) is 'Internal: the message of one request: a reference, or with the setting pgmq_payload = full the whole of it. "executor": "external" marks those that wait for an external worker.';

create function llmq.copy_to_pgmq(new_requests llmq.new_request[]) returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_payload jsonb := llmq.setting('pgmq_payload');
  v_ids     bigint[];
begin
  if not llmq.pgmq_ready() then
    return null;
  end if;
  with copied as (
    insert into pgmq.q_llm_requests (vt, message)
    select clock_timestamp(), llmq.pgmq_message((n.*)::llmq.new_request, v_payload)
    from unnest(new_requests) as n
    returning msg_id
  )
  select array_agg(c.msg_id order by c.msg_id) into v_ids from copied as c;
  return v_ids;
end
$$;
comment on function llmq.copy_to_pgmq(llmq.new_request[]) is 'Internal: one message per request into the pgmq queue llm_requests, in one statement; the message numbers in the same order, or null without pgmq.';
