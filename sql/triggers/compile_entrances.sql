-- Every statement that changes a setting, a route or a model, by function or by hand, compiles all of them
-- again, in its own transaction.
--
-- One at a time: the next one waits for the commit and then sees it, so that the last to commit has compiled
-- everything. Under REPEATABLE READ it cannot see it, and fails on the rows that were deleted meanwhile (40001).
-- Lock order: the configuration's rows, then llmq.entrances. Submits only read and wait for nobody.
create function llmq.compile_entrances() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_agents boolean;
begin
  lock table llmq.entrances in share row exclusive mode;
  v_agents := exists (select from llmq.entrances as e where e.agents)
    or exists (select from llmq.agents as a where a.weight <> 1 or a.owner is not null);
  delete from llmq.entrances;
  insert into llmq.entrances (kind, name, model, lane, max_attempts, pgmq_payload, refuse_above, own_routes, agents)
  select
    e.kind, e.name, e.model, m.lane, s.max_attempts, case when s.pgmq then s.pgmq_payload end, s.refuse_above,
    e.own_routes, v_agents
  from (
    select
      c.complexity as kind, t.task_type as name, r.models[1] as model,
      case when t.task_type = '*' then (select array_agg(distinct w.task_type) from llmq.routes as w where w.task_type <> '*') end as own_routes
    from (select w.task_type from llmq.routes as w union select '*') as t
    cross join (values ('simple'), ('medium'), ('complex')) as c (complexity)
    left join llmq.route_of(c.complexity, t.task_type) as r on true
    union all
    select 'model', n.name, n.name, null
    from (select o.name from llmq.models as o union select 'external') as n
  ) as e
  left join llmq.models as m on m.name = e.model
  cross join (
    select
      max(o.value #>> '{}') filter (where o.name = 'max_attempts')::int as max_attempts,
      bool_or(o.value::boolean) filter (where o.name = 'pgmq') as pgmq,
      max(o.value #>> '{}') filter (where o.name = 'pgmq_payload') as pgmq_payload,
      max(o.value #>> '{}') filter (where o.name = 'refuse_above')::int as refuse_above
    from llmq.settings as o
  ) as s;
  return null;
end
$$;
comment on function llmq.compile_entrances() is 'Trigger: what submits need to know of settings, routes and models, compiled into llmq.entrances.';

create trigger compile_entrances
after insert or update or delete or truncate on llmq.settings
for each statement execute function llmq.compile_entrances();

create trigger compile_entrances
after insert or update or delete or truncate on llmq.routes
for each statement execute function llmq.compile_entrances();

create trigger compile_entrances
after insert or update or delete or truncate on llmq.models
for each statement execute function llmq.compile_entrances();

-- The first agent with a weight or an owner, for good: so whoever configures another agent waits for nobody,
-- and no owner is overlooked because two changed agents at once. The lock is the one that compiling takes, so that
-- a transaction which configures more never has to ask for a stronger one.
create function llmq.announce_agents() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from changed as a where a.weight <> 1 or a.owner is not null)
    and exists (select from llmq.entrances as e where not e.agents)
  then
    lock table llmq.entrances in share row exclusive mode;
    update llmq.entrances set agents = true where not agents;
  end if;
  return null;
end
$$;
comment on function llmq.announce_agents() is 'Trigger: tells submits that there are agents with a weight or an owner.';

create trigger announce_agents_on_insert
after insert on llmq.agents
referencing new table as changed
for each statement execute function llmq.announce_agents();

create trigger announce_agents_on_update
after update on llmq.agents
referencing new table as changed
for each statement execute function llmq.announce_agents();
