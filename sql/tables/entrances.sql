-- Where requests come in: what a submit has to know of routes, models and settings, found by one key. To look
-- it up where it is configured took a fifth of a submit. Kept by llmq.compile_entrances().
--
-- The row * says which task types have rows of their own: to ask for both at once and sort them takes longer
-- than all the rest of the look-up.
create table llmq.entrances (
  kind         text not null,
  name         text not null,
  model        text,
  lane         integer,
  max_attempts integer,
  pgmq_payload text,
  refuse_above integer,
  own_routes   text[],
  agents       boolean not null,
  primary key (kind, name)
);
comment on table llmq.entrances is 'Internal: compiled from llmq.routes, llmq.models and llmq.settings whenever one of them is changed. Edit those.';
comment on column llmq.entrances.kind is 'simple, medium or complex: a routed request; model: one that names its model.';
comment on column llmq.entrances.name is 'Task type, * for all that have no row of their own; or the model.';
comment on column llmq.entrances.model is 'First of the route; null: there is no route.';
comment on column llmq.entrances.lane is 'Null: the route begins with a model that is not configured.';
comment on column llmq.entrances.pgmq_payload is 'What is copied to pgmq; null: nothing.';
comment on column llmq.entrances.own_routes is 'In the rows *: task types that have a row of their own; null: none.';
comment on column llmq.entrances.agents is 'Whether an agent with a weight or an owner was ever configured: then submits look for theirs.';
