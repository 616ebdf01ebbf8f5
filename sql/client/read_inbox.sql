create function llmq.read_inbox(agent_id text, max_messages int = 100) returns setof llmq.inbox
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
  if max_messages is null or max_messages not between 1 and 1000 then
    raise exception using errcode = 'LQ001', message = 'max_messages must be between 1 and 1000',
      detail = format('It is %s.', coalesce(max_messages::text, 'null')), hint = 'Leave it out for 100.';
  end if;
  if not llmq.may_use_agent(agent_id) then
    raise exception using errcode = 'LQ005', message = format('agent %s belongs to another role', quote_literal(agent_id)),
      detail = format('The caller is %s.', llmq.caller()), hint = 'See the column owner of llmq.agents.';
  end if;
  return query
  update llmq.inbox as i
  set read_at = clock_timestamp()
  where i.id = any (array(
    select u.id
    from llmq.inbox as u
    where u.agent_id = agent_id and u.read_at is null
    order by u.id
    limit max_messages
    for update skip locked
  ))
  returning i.*;
end
$$;
comment on function llmq.read_inbox(text, int) is
$$Takes an agent's unread messages (job_results, approval_responses, question_responses), oldest first by id, and marks them read in the caller's transaction: a rollback leaves them unread. Two readers at once get different ones.
agent_id: whose.
max_messages: at most this many, 1 to 1000.
Returns: rows of llmq.inbox, in no particular order.
Errors: LQ001, LQ005 not your agent.
Example: select queue_name, message from llmq.read_inbox('support');$$;
