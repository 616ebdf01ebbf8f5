create function llmq.route_models(complexity text, task_type text) returns text[]
language sql stable
as $$
  select r.models
  from llmq.routes as r
  where r.task_type in (route_models.task_type, '*')
    and r.complexity in (route_models.complexity, '*')
  order by r.task_type = '*', r.complexity = '*'
  limit 1
$$;
comment on function llmq.route_models(text, text) is 'The models of the most specific route for a complexity and task type, best first; null when no route fits.';
