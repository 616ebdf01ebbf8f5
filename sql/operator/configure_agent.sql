create function llmq.configure_agent(
  agent_id         text,
  weight           numeric = null,
  max_concurrency  int = null,
  daily_budget_usd numeric = null,
  owner            name = null,
  paused           boolean = null,
  monthly_budget_usd numeric = null,
  over_budget      text = null
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
  perform llmq.check_name(agent_id, 'agent_id');
  if owner is not null and not exists (select from pg_catalog.pg_roles as r where r.rolname = owner) then
    raise exception using errcode = 'LQ001', message = format('role %s does not exist', quote_ident(owner));
  end if;
  insert into llmq.agents as a (
    agent_id, weight, max_concurrency, daily_budget_usd, owner, paused, monthly_budget_usd, over_budget
  )
  values (
    agent_id, coalesce(weight, 1), max_concurrency, daily_budget_usd, owner, coalesce(paused, false), monthly_budget_usd,
    coalesce(over_budget, 'wait')
  )
  on conflict on constraint agents_pkey do update
  set weight = coalesce(configure_agent.weight, a.weight),
      max_concurrency = coalesce(configure_agent.max_concurrency, a.max_concurrency),
      daily_budget_usd = coalesce(configure_agent.daily_budget_usd, a.daily_budget_usd),
      monthly_budget_usd = coalesce(configure_agent.monthly_budget_usd, a.monthly_budget_usd),
      over_budget = coalesce(configure_agent.over_budget, a.over_budget),
      owner = coalesce(configure_agent.owner, a.owner),
      paused = coalesce(configure_agent.paused, a.paused),
      updated_at = now();
exception when check_violation then
  raise exception using errcode = 'LQ001', message = format('agent %s: %s', quote_literal(agent_id), sqlerrm),
    hint = 'weight: 0.01 to 1000 (default 1). max_concurrency: above 0. daily_budget_usd, monthly_budget_usd: 0 or more. over_budget: wait or fail.';
end
$$;
comment on function llmq.configure_agent(text, numeric, int, numeric, name, boolean, numeric, text) is
$$Adds or changes an agent; an argument left out keeps what is there. To empty a column, update llmq.agents. Agents need no row: without one they have weight 1 and no owner.
agent_id: the agent_id of submits.
weight: 0.01 to 1000, 1 for a new one: its share of a model's starts beside other waiting agents of the same priority.
max_concurrency: its calls in flight at once, over all models and orchestrators; the rest is held.
daily_budget_usd: US dollars per day (UTC) by llmq.prices. An estimate is reserved when a call begins, so that no number of orchestrators overspends it together.
owner: a database role; only its members, llmq_admin and the owner of the schema see or submit this agent's requests.
paused: true: none of its requests is claimed; they are held. Calls in flight go on.
monthly_budget_usd: US dollars per calendar month (UTC), likewise.
over_budget: wait (a new one's default): held until the next day or month; fail: fails with budget_exceeded.
Errors: LQ001.
Example: select llmq.configure_agent('support', weight => 3, owner => 'support_app');$$;
