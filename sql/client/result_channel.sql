create function llmq.result_channel(agent_id text) returns text
language sql immutable strict parallel safe
as $$
  select case
    when octet_length(agent_id) <= 50 then 'llmq_result:' || agent_id
    else 'llmq_result:' || md5(agent_id)
  end
$$;
comment on function llmq.result_channel(text) is
$$The notification channel that tells of an agent's finished requests: llmq_result: and the agent_id, or its md5 when it is longer than 50 bytes. The payload is one or more request ids, separated by commas. A notification is a hint: look at the requests after LISTEN, and after every reconnect.
agent_id: the agent of the submit.
Example: LISTEN "llmq_result:support";$$;
