-- What the claim must know about a model and configuration must not: it changes with every outage.
--
-- THE BREAKER of a model:
--
--   closed     admit null. Transient failures in a row are counted; a success sets them to 0.
--   open       cooling_until lies ahead: nothing is claimed. Opened by the setting breaker_failures transient
--              failures in a row, or at once by a limit, an empty quota, a refused key or a missing model.
--   half-open  cooling_until has passed and admit is set: so many calls may be in flight. Every success admits
--              one more, so that the number doubles with each round of calls; at 256 the breaker closes. A
--              failure opens it again, for twice as long.
--
-- After a failure the probe is one call. After a limit (429) half of the calls that were in flight may come
-- back at once: the model is well, there were only too many.
create table llmq.model_state (
  lane          integer primary key,
  cooling_until timestamptz,
  reason        text,
  error_class   text,
  cooldowns     integer not null default 0,
  failures      integer not null default 0,
  admit         integer,
  updated_at    timestamptz not null default clock_timestamp(),
  constraint model_state_admit check (admit > 0)
);
comment on table llmq.model_state is 'Models in trouble: a model whose cooling_until lies ahead is not claimed from; its requests wait and cost nothing.';
comment on column llmq.model_state.cooldowns is 'Cool-downs in a row without a success in between: the next one, where the provider names no time, is twice as long.';
comment on column llmq.model_state.lane is 'llmq.models.lane.';
comment on column llmq.model_state.cooling_until is 'No claim before this; null or past: none.';
comment on column llmq.model_state.reason is 'The error that began the cool-down.';
comment on column llmq.model_state.error_class is 'capacity, out_of_quota, configuration or transient.';
comment on column llmq.model_state.failures is 'Transient failures in a row.';
comment on column llmq.model_state.admit is 'Calls that may be in flight at once while it recovers; null: as many as the limits allow.';
