create table llmq.routes (
  complexity text not null,
  task_type  text not null default '*',
  models     text[] not null,
  fallback_after interval,
  paused     boolean not null default false,
  updated_at timestamptz not null default now(),
  primary key (task_type, complexity),
  constraint routes_complexity check (complexity in ('simple', 'medium', 'complex', '*')),
  constraint routes_fallback_after check (fallback_after >= interval '0'),
  constraint routes_models check (cardinality(models) > 0 and array_position(models, null) is null)
);
comment on table llmq.routes is
  'Which models answer a request, in order of preference, by complexity and task type; ''*'' stands for any. The most specific row wins: task type first, then complexity.';
comment on column llmq.routes.complexity is 'simple, medium, complex, or * for any.';
comment on column llmq.routes.task_type is 'A task type, or * for any.';
comment on column llmq.routes.models is 'Names of llmq.models: the first is asked, the others are fallen back to in order.';
comment on column llmq.routes.fallback_after is 'A request that has waited so long for one model of the route goes on to the next; null: it waits.';
comment on column llmq.routes.paused is 'Nothing is claimed that is routed by this row while true; requests that name their model are not routed.';
