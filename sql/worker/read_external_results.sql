-- Answers of external workers, with what their check needs. The check (JSON, schema) is the orchestrator's,
-- as for any answer; the message stays hidden for half a minute while it is done.
--
-- First the messages, then the requests, as statements of their own: in one statement the requests would be
-- seen as of its start, and pgmq.read, which looks later, could bring an answer whose request is not seen yet.
create function llmq.read_external_results(max_messages int = 100)
returns table (
  message_id bigint, read_count int, message jsonb, request_id uuid, claim_id bigint, response_schema jsonb,
  tools jsonb, settings jsonb
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_message record;
  v_wanted  uuid;
begin
  if to_regclass('pgmq.meta') is null or to_regclass('pgmq.q_llm_results') is null
    or not exists (select from llmq.shared_queues as s where s.queue_name = 'llm_results' and s.enabled) then
    return;
  end if;
  for v_message in
    select m.msg_id, m.read_ct, coalesce(m.message, 'null') as message
    from pgmq.read('llm_results', 30, max_messages) as m
    order by m.msg_id
  loop
    v_wanted := case
      when v_message.message ->> 'request_id' ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
        then (v_message.message ->> 'request_id')::uuid
    end;
    message_id := v_message.msg_id;
    read_count := v_message.read_ct;
    -- An answer that came as JSON instead of as text is what its text would be: drivers round long numbers.
    message := case when jsonb_typeof(v_message.message -> 'response') not in ('string', 'null')
      then jsonb_set(v_message.message, '{response}', to_jsonb((v_message.message -> 'response')::text))
      else v_message.message
    end;
    select u.id, u.claim_id into request_id, claim_id
    from (
      select q.id, null as claim_id from llmq.queue as q where q.id = v_wanted
      union all
      select h.id, h.claim_id from llmq.in_flight as h where h.id = v_wanted
    ) as u;
    select r.response_schema::jsonb, r.tools::jsonb, r.settings::jsonb into response_schema, tools, settings
    from llmq.requests as r
    where r.id = request_id;
    return next;
  end loop;
end
$$;
comment on function llmq.read_external_results(int) is
$$Reads answers of external workers from the pgmq queue llm_results ({"request_id", "response"} or {"request_id", "error", "error_type"}), with the schema and tools of their requests. request_id is null when no unfinished request has it. A message is hidden from other readers for 30 seconds: check it and call llmq.settle_external_results().
max_messages: the most to read.$$;
