-- What the claim needs to guess how many tokens a call will take, learned from those that came back.
create table llmq.token_estimates (
  lane         integer primary key,
  input_factor double precision not null default 1,
  output_p90   double precision,
  samples      bigint not null default 0,
  updated_at   timestamptz not null default clock_timestamp(),
  constraint token_estimates_positive check (input_factor > 0 and output_p90 > 0)
) with (fillfactor = 10, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);
comment on table llmq.token_estimates is 'Per limited model: how prompts and answers turn into tokens, learned from what was used. Delete a row to learn anew.';
comment on column llmq.token_estimates.lane is 'llmq.models.lane.';
comment on column llmq.token_estimates.input_factor is 'Tokens counted by the provider for every token of llmq.estimate_input_tokens().';
comment on column llmq.token_estimates.output_p90 is 'Tokens that nine of ten answers stay below; what a call without max_tokens reserves.';
comment on column llmq.token_estimates.samples is 'Calls learned from.';
