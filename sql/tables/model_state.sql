-- What the claim must know about a model and configuration must not: it changes with every outage.
create table llmq.model_state (
  lane          integer primary key,
  cooling_until timestamptz,
  reason        text,
  error_class   text,
  cooldowns     integer not null default 0,
  updated_at    timestamptz not null default clock_timestamp()
);
comment on table llmq.model_state is 'Models in trouble: a model whose cooling_until lies ahead is not claimed from; its requests wait and cost nothing.';
comment on column llmq.model_state.cooldowns is 'Cool-downs in a row without a success in between: the next one, where the provider names no time, is twice as long.';
comment on column llmq.model_state.lane is 'llmq.models.lane.';
comment on column llmq.model_state.cooling_until is 'No claim before this; null or past: none.';
comment on column llmq.model_state.reason is 'The error that began the cool-down.';
comment on column llmq.model_state.error_class is 'capacity, out_of_quota or configuration.';
