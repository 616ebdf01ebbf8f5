create function llmq.agent_spent(agent_id text, period text) returns numeric
language sql stable
as $$
  select coalesce(sum(s.usd), 0)
  from llmq.agent_spend as s
  where s.agent_id = agent_spent.agent_id
    and s.at >= date_trunc(agent_spent.period, clock_timestamp() at time zone 'UTC') at time zone 'UTC'
$$;
comment on function llmq.agent_spent(text, text) is
$$What an agent with a budget has spent and reserved in the current day or month (UTC), in US dollars.
period: day or month.$$;
