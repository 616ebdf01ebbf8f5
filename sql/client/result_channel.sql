create function llmq.result_channel(agent_id text) returns text
language sql immutable strict parallel safe
as $$
  select case
    when octet_length(agent_id) <= 50 then 'llmq_result:' || agent_id
    else 'llmq_result:' || md5(agent_id)
  end
$$;
comment on function llmq.result_channel(text) is
$$The channel that tells of an agent's finished requests: LISTEN "llmq_result:my-agent". The payload is one or more request ids, separated by commas.
Names over 50 bytes are replaced by their md5.$$;
