create function llmq.import_prices(prices jsonb) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_changed int;
begin
  if jsonb_typeof(prices) is distinct from 'array' then
    raise exception using errcode = 'LQ001', message = 'prices must be an array of objects',
      detail = format('It is %s.', coalesce(jsonb_typeof(prices), 'null'));
  end if;
  -- Orchestrators that start together import the same.
  perform pg_advisory_xact_lock(hashtextextended('llmq.prices', 0));
  with given as (
    select
      g.model, coalesce(g.valid_from, '-infinity') as valid_from, coalesce(g.utc_from, '00:00') as utc_from,
      coalesce(g.utc_until, '24:00') as utc_until, coalesce(g.min_input_tokens, 0) as min_input_tokens,
      g.input_per_million, g.output_per_million, g.cached_input_per_million, g.reasoning_per_million
    from jsonb_to_recordset(prices) as g (
      model text, valid_from timestamptz, utc_from time, utc_until time, min_input_tokens int, input_per_million numeric,
      output_per_million numeric, cached_input_per_million numeric, reasoning_per_million numeric
    )
    -- One that was removed since the caller looked.
    join llmq.models as m on m.name = g.model
  ), gone as (
    delete from llmq.prices as p
    where p.source = 'genai-prices' and (p.model, p.valid_from, p.utc_from, p.utc_until, p.min_input_tokens) not in (
      select g.model, g.valid_from, g.utc_from, g.utc_until, g.min_input_tokens from given as g
    )
    returning p.model
  ), written as (
    insert into llmq.prices as p (
      model, source, valid_from, utc_from, utc_until, min_input_tokens, input_per_million, output_per_million,
      cached_input_per_million, reasoning_per_million
    )
    select
      g.model, 'genai-prices', g.valid_from, g.utc_from, g.utc_until, g.min_input_tokens, g.input_per_million,
      g.output_per_million, g.cached_input_per_million, g.reasoning_per_million
    from given as g
    on conflict on constraint prices_pkey do update
    set input_per_million = excluded.input_per_million,
        output_per_million = excluded.output_per_million,
        cached_input_per_million = excluded.cached_input_per_million,
        reasoning_per_million = excluded.reasoning_per_million,
        updated_at = now()
    where (p.input_per_million, p.output_per_million, p.cached_input_per_million, p.reasoning_per_million)
      is distinct from (
        excluded.input_per_million, excluded.output_per_million, excluded.cached_input_per_million,
        excluded.reasoning_per_million
      )
    returning p.model
  )
  select (select count(*) from gone) + (select count(*) from written) into v_changed;
  return v_changed;
exception when data_exception or integrity_constraint_violation or cardinality_violation then
  raise exception using errcode = 'LQ001', message = format('prices: %s', sqlerrm),
    hint = '[{"model", "valid_from", "utc_from", "utc_until", "min_input_tokens", "input_per_million", "output_per_million", "cached_input_per_million", "reasoning_per_million"}, ...]; model and the prices of input and output are needed, and no price may come twice.';
end
$$;
comment on function llmq.import_prices(jsonb) is
$$Replaces all imported prices (source genai-prices) by these, and keeps manual ones; how many rows were added, changed or removed. llmq prices --import calls it with the prices of the package genai-prices.
prices: [{"model", "valid_from", "utc_from", "utc_until", "min_input_tokens", "input_per_million", "output_per_million", "cached_input_per_million", "reasoning_per_million"}, ...] as in llmq.prices; models that are not configured are left out.
Errors: LQ001.$$;
