create function llmq.inbox_channel(agent_id text) returns text
language sql immutable strict parallel safe
as $$
  select case
    when octet_length(agent_id) <= 50 then 'llmq_inbox:' || agent_id
    else 'llmq_inbox:' || md5(agent_id)
  end
$$;
comment on function llmq.inbox_channel(text) is
$$The notification channel that tells of an agent's new rows in llmq.inbox: llmq_inbox: and the agent_id, or its md5 when it is longer than 50 bytes. The payload is the row's id.
agent_id: the agent.
Example: LISTEN "llmq_inbox:support";$$;

-- The default handler of the shared queues.
create function llmq.receive_in_inbox(queue_name text, message_id bigint, message jsonb) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_agent   text := message ->> 'agent_id';
  v_request uuid;
  v_id      bigint;
begin
  -- A request_id that is none leaves the message without an agent: stored all the same.
  if v_agent is null and message ->> 'request_id' ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then
    v_request := (message ->> 'request_id')::uuid;
    v_agent := (select v.agent_id from llmq.all_llm_requests as v where v.id = v_request);
  end if;
  insert into llmq.inbox (queue_name, message_id, agent_id, message)
  values (receive_in_inbox.queue_name, receive_in_inbox.message_id, v_agent, receive_in_inbox.message)
  on conflict on constraint inbox_once do nothing
  returning id into v_id;
  if v_id is not null and v_agent is not null then
    perform pg_notify(llmq.inbox_channel(v_agent), v_id::text);
  end if;
end
$$;
comment on function llmq.receive_in_inbox(text, bigint, jsonb) is
$$Default handler of the shared queues: stores the message in llmq.inbox for message.agent_id, or for the agent of message.request_id, and notifies llmq.inbox_channel(agent_id).
queue_name: where it came from.
message_id: its number in pgmq; the same one is stored once.
message: any JSON.$$;
