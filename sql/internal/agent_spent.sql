create function llmq.agent_spent(agent_id text, period text) returns numeric
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_variable
declare
  v_from timestamptz := date_trunc(period, clock_timestamp() at time zone 'UTC') at time zone 'UTC';
  v_sum  record;
begin
  select u.at, case period when 'day' then u.usd else u.usd_of_month end as usd into v_sum
  from llmq.agent_usage as u
  where u.agent_id = agent_spent.agent_id and u.compact and u.at >= v_from
  order by u.at desc
  limit 1;
  return coalesce(v_sum.usd, 0) + coalesce((
    select sum(u.usd)
    from llmq.agent_usage as u
    where u.agent_id = agent_spent.agent_id and not u.compact and u.at >= greatest(v_from, v_sum.at)
  ), 0);
end
$$;
comment on function llmq.agent_spent(text, text) is
$$What an agent with a budget has spent and reserved in the current day or month (UTC), in US dollars.
period: day or month.$$;
