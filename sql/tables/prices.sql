-- What a model costs, and since when. Of the rows that hold for a call the choice is made by llmq.price_at().
create table llmq.prices (
  model                    text not null references llmq.models (name) on update cascade on delete cascade,
  source                   text not null default 'manual',
  valid_from               timestamptz not null default '-infinity',
  utc_from                 time not null default '00:00',
  utc_until                time not null default '24:00',
  min_input_tokens         integer not null default 0,
  input_per_million        numeric not null,
  output_per_million       numeric not null,
  cached_input_per_million numeric,
  reasoning_per_million    numeric,
  updated_at               timestamptz not null default now(),
  constraint prices_pkey primary key (model, source, valid_from, utc_from, utc_until, min_input_tokens),
  constraint prices_source check (source in ('manual', 'genai-prices')),
  constraint prices_hours check (utc_from < utc_until),
  constraint prices_min_input_tokens check (min_input_tokens >= 0),
  -- numeric knows NaN and infinity, which compare as larger than every number.
  constraint prices_not_negative check (
    input_per_million >= 0 and input_per_million < 'infinity' and output_per_million >= 0 and output_per_million < 'infinity'
    and cached_input_per_million >= 0 and cached_input_per_million < 'infinity'
    and reasoning_per_million >= 0 and reasoning_per_million < 'infinity'
  )
);
-- The order of preference of llmq.price_at(): the first row that holds is the price.
create index prices_by_model
on llmq.prices (model, source desc, valid_from desc, utc_from desc, utc_until, min_input_tokens desc);

comment on table llmq.prices is
  'What models cost, in US dollars per million tokens. A DBA edits it, or calls llmq.configure_price(); rows of source genai-prices are replaced at every import. Costs already in llmq.attempts stay as they are. To do without a price, delete its row.';
comment on column llmq.prices.model is 'A name of llmq.models.';
comment on column llmq.prices.source is 'manual: goes before an imported one. genai-prices: imported from the package of that name by llmq migrate, llmq start and llmq prices --import.';
comment on column llmq.prices.valid_from is 'Holds for calls that start then or later, until a row of the same source with a later date takes over.';
comment on column llmq.prices.utc_from is 'For prices that differ by the time of day: holds from this time, in UTC. Of two rows with the same date the one that begins later does, or else ends earlier: rows for some hours go before one for all day.';
comment on column llmq.prices.utc_until is 'Holds until before this time, in UTC; 24:00 is the end of the day.';
comment on column llmq.prices.min_input_tokens is 'For tiers of long prompts: holds for a whole call whose input has this many tokens or more, unless a higher tier does.';
comment on column llmq.prices.input_per_million is 'Of input tokens that were not cached.';
comment on column llmq.prices.output_per_million is 'Of output tokens, reasoning included.';
comment on column llmq.prices.cached_input_per_million is 'Of input tokens that the provider had cached; null: as other input.';
comment on column llmq.prices.reasoning_per_million is 'Of reasoning tokens where they cost something else than other output; null: as output.';
