create function llmq.may_use_agent(agent_id text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce((
    select a.owner is null
        or pg_catalog.pg_has_role(llmq.caller(), coalesce(r.oid, 0), 'member')
        or exists (
          select from pg_catalog.pg_roles as admin
          where admin.rolname = 'llmq_admin' and pg_catalog.pg_has_role(llmq.caller(), admin.oid, 'member')
        )
        or pg_catalog.pg_has_role(llmq.caller(), (select o.nspowner from pg_catalog.pg_namespace as o where o.nspname = 'llmq'), 'member')
    from llmq.agents as a
    left join pg_catalog.pg_roles as r on r.rolname = a.owner
    where a.agent_id = may_use_agent.agent_id
  ), true)
$$;
comment on function llmq.may_use_agent(text) is 'Whether the caller may submit and read for this agent: always, unless llmq.agents names an owner the caller is no member of. llmq_admin and the owner of the schema may for all.';
