create function llmq.configure_price(
  model                    text,
  input_per_million        numeric = null,
  output_per_million       numeric = null,
  cached_input_per_million numeric = null,
  valid_from               timestamptz = null,
  min_input_tokens         int = 0,
  reasoning_per_million    numeric = null,
  utc_from                 time = '00:00',
  utc_until                time = '24:00'
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_from timestamptz := valid_from;
begin
  if not exists (select from llmq.models as m where m.name = model) then
    raise exception using errcode = 'LQ003', message = format('model %s is not configured', coalesce(quote_literal(model), 'null')),
      hint = 'Add it with llmq.configure_model().';
  end if;
  -- Two that configure the same price at once would both find none.
  perform pg_advisory_xact_lock(hashtextextended('llmq.prices', 0));
  if v_from is null then
    select coalesce(max(p.valid_from), '-infinity') into v_from
    from llmq.prices as p
    where p.model = configure_price.model and p.source = 'manual' and p.valid_from <= now()
      and p.utc_from = configure_price.utc_from and p.utc_until = configure_price.utc_until
      and p.min_input_tokens = configure_price.min_input_tokens;
  end if;
  update llmq.prices as p
  set input_per_million = coalesce(configure_price.input_per_million, p.input_per_million),
      output_per_million = coalesce(configure_price.output_per_million, p.output_per_million),
      cached_input_per_million = coalesce(configure_price.cached_input_per_million, p.cached_input_per_million),
      reasoning_per_million = coalesce(configure_price.reasoning_per_million, p.reasoning_per_million),
      updated_at = now()
  where p.model = configure_price.model and p.source = 'manual' and p.valid_from = v_from
    and p.utc_from = configure_price.utc_from and p.utc_until = configure_price.utc_until
    and p.min_input_tokens = configure_price.min_input_tokens;
  if not found then
    if input_per_million is null or output_per_million is null then
      raise exception using errcode = 'LQ001',
        message = format('the price of model %s is new and needs input_per_million and output_per_million', quote_literal(model)),
        hint = 'select llmq.configure_price(''my-model'', 0.25, 2); -- US dollars per million tokens';
    end if;
    insert into llmq.prices (
      model, valid_from, utc_from, utc_until, min_input_tokens, input_per_million, output_per_million,
      cached_input_per_million, reasoning_per_million
    ) values (
      model, v_from, utc_from, utc_until, min_input_tokens, input_per_million, output_per_million,
      cached_input_per_million, reasoning_per_million
    );
  end if;
exception when check_violation or not_null_violation then
  raise exception using errcode = 'LQ001', message = format('price of model %s: %s', quote_literal(model), sqlerrm),
    hint = 'Prices are US dollars per million tokens, 0 or more; min_input_tokens is 0 or more; utc_from is before utc_until.';
end
$$;
comment on function llmq.configure_price(text, numeric, numeric, numeric, timestamptz, int, numeric, time, time) is
$$Sets what a model costs; goes before an imported price. An argument left out keeps what is there. Costs in the ledger stay as they are. To take a price away, delete it from llmq.prices.
model: a name of llmq.models.
input_per_million: US dollars per million input tokens that were not cached; needed for a new price.
output_per_million: US dollars per million output tokens, reasoning included; needed for a new price.
cached_input_per_million: US dollars per million cached input tokens; null: as other input.
valid_from: holds for calls that start then or later; null: changes the price that holds now, or sets one for all time.
min_input_tokens: a tier for long prompts: holds for a whole call whose input has this many tokens or more.
reasoning_per_million: US dollars per million reasoning tokens, where they are not priced as other output.
utc_from: a price for some hours of the day: from then, in UTC.
utc_until: until before then, in UTC; 24:00 is the end of the day.
Errors: LQ001, LQ003 unknown model.
Example: select llmq.configure_price('small', 0.25, 2, cached_input_per_million => 0.025, valid_from => '2027-01-01');$$;
