create function llmq.configure_route(
  complexity     text,
  models         text[] = null,
  task_type      text = '*',
  fallback_after interval = null,
  paused         boolean = null
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_unknown text;
begin
  if complexity is null or complexity not in ('simple', 'medium', 'complex', '*') then
    raise exception using errcode = 'LQ001', message = 'complexity must be simple, medium, complex or *',
      detail = format('It is %s.', coalesce(quote_literal(complexity), 'null'));
  end if;
  perform llmq.check_name(task_type, 'task_type');
  if cardinality(models) = 0 or models is null and not exists (
    select from llmq.routes as r where r.complexity = configure_route.complexity and r.task_type = configure_route.task_type
  ) then
    raise exception using errcode = 'LQ001', message = 'models must name at least one model';
  end if;
  select u.model into v_unknown
  from unnest(models) as u (model)
  where not exists (select from llmq.models as m where m.name = u.model)
  limit 1;
  if found then
    raise exception using errcode = 'LQ003', message = format('model %s is not configured', coalesce(quote_literal(v_unknown), 'null')),
      hint = 'Add it with llmq.configure_model().';
  end if;
  if fallback_after < interval '0' then
    raise exception using errcode = 'LQ001', message = 'fallback_after must not be negative',
      detail = format('It is %s.', fallback_after);
  end if;
  insert into llmq.routes as r (complexity, task_type, models, fallback_after, paused)
  select complexity, task_type, coalesce(models, o.models), fallback_after, coalesce(paused, false)
  from (select 1) as one
  left join llmq.routes as o on o.complexity = configure_route.complexity and o.task_type = configure_route.task_type
  on conflict on constraint routes_pkey do update
  set models = excluded.models,
      fallback_after = coalesce(configure_route.fallback_after, r.fallback_after),
      paused = coalesce(configure_route.paused, r.paused),
      updated_at = now();
end
$$;
comment on function llmq.configure_route(text, text[], text, interval, boolean) is
$$Sets which models answer requests of a complexity and task type. The most specific route wins: task type first, then complexity. An argument left out keeps what is there.
complexity: simple, medium, complex, or * for any.
models: names of llmq.models, best first: a request starts with the first and falls back along the list. A new route needs them.
task_type: a task type, or * for any.
fallback_after: a request that has waited so long for one model goes on to the next; null for a new one: it waits. To take it away, update llmq.routes.
paused: true: nothing is claimed that this route would route; it is held.
Errors: LQ001, LQ003 unknown model.
Example: select llmq.configure_route('simple', array['small', 'large']);$$;
