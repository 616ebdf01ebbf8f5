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
begin
  lock table llmq.entrances in share row exclusive mode;
  delete from llmq.entrances;
  insert into llmq.entrances (kind, name, model, lane, max_attempts, pgmq_payload, refuse_above)
  select e.kind, e.name, e.model, m.lane, s.max_attempts, case when s.pgmq then s.pgmq_payload end, s.refuse_above
  from (
    select c.complexity as kind, t.task_type as name, r.models[1] as model
    from (select w.task_type from llmq.routes as w union select '*') as t
    cross join (values ('simple'), ('medium'), ('complex')) as c (complexity)
    cross join llmq.route_of(c.complexity, t.task_type) as r
    union all
    select 'model', n.name, n.name
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
