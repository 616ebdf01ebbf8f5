create function llmq.route_of(complexity text, task_type text) returns setof llmq.routes
language sql stable
as $$
  select r.*
  from llmq.routes as r
  where r.task_type in (route_of.task_type, '*')
    and r.complexity in (route_of.complexity, '*')
  order by r.task_type = '*', r.complexity = '*'
  limit 1
$$;
comment on function llmq.route_of(text, text) is 'The most specific route for a complexity and task type; no row when none fits.';
