-- Answers of external workers, with what their check needs. The check (JSON, schema) is the orchestrator's,
-- as for any answer; the message stays hidden for half a minute while it is done.
--
-- Request by request through the primary keys: a join would be planned for the thousand rows that the
-- planner expects of pgmq.read, and hash the whole queue.
create function llmq.read_external_results(max_messages int = 100)
returns table (
  message_id bigint, read_count int, message jsonb, request_id uuid, claim_id bigint, response_schema jsonb,
  tools jsonb, settings jsonb
)
language plpgsql volatile security definer
set search_path = ''
as $$
#variable_conflict use_column
begin
  if to_regclass('pgmq.meta') is null or to_regclass('pgmq.q_llm_results') is null
    or not exists (select from llmq.shared_queues as s where s.queue_name = 'llm_results' and s.enabled) then
    return;
  end if;
  return query
  select m.msg_id, m.read_ct, coalesce(m.message, 'null'), q.id, q.claim_id, r.response_schema, r.tools, r.settings
  from pgmq.read('llm_results', 30, max_messages) as m
  left join lateral (
    select q.id, q.claim_id
    from llmq.queue as q
    where q.id = case
      when m.message ->> 'request_id' ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then (m.message ->> 'request_id')::uuid
    end
    limit 1
  ) as q on true
  left join lateral (select r.* from llmq.requests as r where r.id = q.id limit 1) as r on true
  order by m.msg_id;
end
$$;
comment on function llmq.read_external_results(int) is
$$Reads answers of external workers from the pgmq queue llm_results ({"request_id", "response"} or {"request_id", "error", "error_type"}), with the schema and tools of their requests. request_id is null when no unfinished request has it. A message is hidden from other readers for 30 seconds: check it and call llmq.settle_external_results().
max_messages: the most to read.$$;
