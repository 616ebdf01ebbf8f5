create view llmq.current_prices as
select
  m.name as model, m.provider, v.kind as provider_kind, m.model_id, p.source, p.min_input_tokens, p.input_per_million,
  p.cached_input_per_million, p.output_per_million, p.reasoning_per_million, p.valid_from
from llmq.models as m
join llmq.providers as v on v.name = m.provider
left join lateral (
  -- A tier that is no longer in force finds the row of a lower one, which is there already.
  select distinct a.*
  from llmq.prices as t
  cross join lateral llmq.price_at(m.name, now(), t.min_input_tokens) as a
  where t.model = m.name
) as p on true;
comment on view llmq.current_prices is
  'What does each model cost now? One row per tier, and one with nulls for a model without a price. US dollars per million tokens; llmq.prices has the prices of other times too.';
