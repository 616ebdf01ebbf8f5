create function llmq.configure_route(complexity text, models text[], task_type text = '*') returns void
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
  if models is null or cardinality(models) = 0 then
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
  insert into llmq.routes as r (complexity, task_type, models) values (complexity, task_type, models)
  on conflict on constraint routes_pkey do update set models = excluded.models, updated_at = now();
end
$$;
comment on function llmq.configure_route(text, text[], text) is
$$Sets which models answer requests of a complexity and task type. The most specific route wins: task type first, then complexity.
complexity: simple, medium, complex, or * for any.
models: names of llmq.models, best first: a request starts with the first and falls back along the list.
task_type: a task type, or * for any.
Errors: LQ001, LQ003 unknown model.
Example: select llmq.configure_route('simple', array['small', 'large']);$$;
