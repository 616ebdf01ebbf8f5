-- The copy to the pgmq queue llm_requests, in the submitting transaction. Rows are written into the queue's
-- table instead of through pgmq.send_batch(), which plans its statement anew at every call: 15 microseconds
-- against 65. Only the columns vt and message are named, which every version of pgmq has had; the table's
-- triggers fire as ever, and reading and archiving go through pgmq's own functions.
create function llmq.pgmq_reference(id uuid, agent_id text, task_type text, complexity text, external boolean) returns jsonb
language sql stable parallel safe
as $$
  -- All of it is text: jsonb_build_object() would look up the type of each.
  select jsonb_object(array['request_id', id::text, 'agent_id', agent_id, 'task_type', task_type, 'complexity', complexity])
    || case when external then '{"executor": "external"}'::jsonb else '{}' end
$$;
comment on function llmq.pgmq_reference(uuid, text, text, text, boolean) is
$$Internal: the message of one request. "executor": "external" marks those that wait for an external worker.$$;

create function llmq.pgmq_message(new llmq.new_request) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case when new.pgmq_payload = 'full' then
    -- Not jsonb_strip_nulls(): it would reach into the messages, where "content": null is part of a call.
    (
      select
        jsonb_object_agg(f.key, f.value)
        || llmq.pgmq_reference(new.id, new.agent_id, new.task_type, new.complexity, coalesce(new.context ->> 'executor' = 'external', false))
      from jsonb_each(to_jsonb(new) - '{id,lane,weight,pgmq_payload}'::text[]) as f
      where f.value <> 'null'
    )
  else
    llmq.pgmq_reference(new.id, new.agent_id, new.task_type, new.complexity, coalesce(new.context ->> 'executor' = 'external', false))
  end
$$;
comment on function llmq.pgmq_message(llmq.new_request) is 'Internal: the message of one request: a reference, or with the setting pgmq_payload = full the whole of it.';

create function llmq.copy_to_pgmq(new_requests llmq.new_request[]) returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ids bigint[];
begin
  if (new_requests[1]).pgmq_payload is null then
    return null;
  end if;
  with copied as (
    insert into pgmq.q_llm_requests (vt, message)
    -- The reference is inlined; a call of llmq.pgmq_message() is not, and costs 8 microseconds more.
    select clock_timestamp(), case
      when n.pgmq_payload = 'full' then llmq.pgmq_message((n.*)::llmq.new_request)
      else llmq.pgmq_reference(
        n.id, n.agent_id, n.task_type, n.complexity, coalesce(n.context ->> 'executor' = 'external', false)
      )
    end
    from unnest(new_requests) as n
    returning msg_id
  )
  select array_agg(c.msg_id order by c.msg_id) into v_ids from copied as c;
  return v_ids;
end
$$;
comment on function llmq.copy_to_pgmq(llmq.new_request[]) is 'Internal: one message per request into the pgmq queue llm_requests, in one statement; the message numbers in the same order, or null without pgmq.';
