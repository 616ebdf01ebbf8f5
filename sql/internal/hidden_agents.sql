create function llmq.hidden_agents() returns text[]
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(array_agg(a.agent_id), '{}')
  from llmq.agents as a
  where a.owner is not null and not llmq.may_use_agent(a.agent_id)
$$;
comment on function llmq.hidden_agents() is 'Agents that belong to other roles; the view llmq.llm_requests leaves them out.';
