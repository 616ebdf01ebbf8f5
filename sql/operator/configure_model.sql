create function llmq.configure_model(
  name                     text,
  provider                 text = null,
  model_id                 text = null,
  requests_per_minute      int = null,
  input_tokens_per_minute  int = null,
  output_tokens_per_minute int = null,
  max_concurrency          int = null,
  context_window           int = null,
  max_output_tokens        int = null,
  options                  jsonb = null,
  paused                   boolean = null,
  tokens_per_minute        int = null
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_lane int;
begin
  perform llmq.check_name(name, 'name');
  if provider is not null and not exists (select from llmq.providers as p where p.name = provider) then
    raise exception using errcode = 'LQ003', message = format('provider %s is not configured', quote_literal(provider)),
      hint = 'Add it with llmq.configure_provider().';
  end if;
  update llmq.models as m
  set provider = coalesce(configure_model.provider, m.provider),
      model_id = coalesce(configure_model.model_id, m.model_id),
      requests_per_minute = coalesce(configure_model.requests_per_minute, m.requests_per_minute),
      input_tokens_per_minute = coalesce(configure_model.input_tokens_per_minute, m.input_tokens_per_minute),
      output_tokens_per_minute = coalesce(configure_model.output_tokens_per_minute, m.output_tokens_per_minute),
      tokens_per_minute = coalesce(configure_model.tokens_per_minute, m.tokens_per_minute),
      max_concurrency = coalesce(configure_model.max_concurrency, m.max_concurrency),
      context_window = coalesce(configure_model.context_window, m.context_window),
      max_output_tokens = coalesce(configure_model.max_output_tokens, m.max_output_tokens),
      options = coalesce(configure_model.options, m.options),
      paused = coalesce(configure_model.paused, m.paused),
      updated_at = now()
  where m.name = configure_model.name;
  if not found then
    if provider is null then
      raise exception using errcode = 'LQ001', message = format('model %s is new and needs a provider', quote_literal(name)),
        hint = 'select llmq.configure_model(''my-model'', ''my-provider'', ''model-id-of-the-provider'');';
    end if;
    insert into llmq.models (
      name, provider, model_id, requests_per_minute, input_tokens_per_minute, output_tokens_per_minute,
      tokens_per_minute, max_concurrency, context_window, max_output_tokens, options, paused
    ) values (
      name, provider, coalesce(model_id, name), requests_per_minute, input_tokens_per_minute, output_tokens_per_minute,
      tokens_per_minute, max_concurrency, context_window, max_output_tokens, coalesce(options, '{}'), coalesce(paused, false)
    ) returning lane into v_lane;
    insert into llmq.lane_marks (lane, priority) values (v_lane, 0) on conflict do nothing;
  end if;
exception when check_violation then
  raise exception using errcode = 'LQ001', message = format('model %s: %s', quote_literal(name), sqlerrm),
    hint = 'Limits are whole numbers above 0; options is an object.';
end
$$;
comment on function llmq.configure_model(text, text, text, int, int, int, int, int, int, jsonb, boolean, int) is
$$Adds or changes a model; an argument left out keeps what is there. To take a limit away, update llmq.models.
name: what routes and the model parameter of a submit refer to.
provider: a row of llmq.providers; needed for a new one.
model_id: what the provider calls it; a new one's default is its name.
requests_per_minute: calls begun in any 60 seconds, over all orchestrators. From 60 on also a tenth of it in any six seconds.
input_tokens_per_minute: tokens of prompts in any 60 seconds, reserved by the prompt's size and corrected by what the provider counted.
output_tokens_per_minute: tokens of answers, reserved by max_tokens or else by the 90th percentile of the model's answers so far.
max_concurrency: calls in flight at once.
context_window: tokens of prompt and answer together. A prompt that is too long goes on to a model of the route with a larger one.
max_output_tokens: tokens. Sent to Anthropic, which demands a limit, unless the request has its own (4096 when neither has one); the ceiling when a cut-off answer is asked for again.
options: laid over the provider's, key by key; replaces the options that are there.
paused: true: no request is claimed for it; they wait. Routes fall back past it.
tokens_per_minute: tokens of prompts and answers together, where the provider counts them so.
Errors: LQ001, LQ003 unknown provider.
Example: select llmq.configure_model('small', 'groq', 'llama-3.1-8b-instant', context_window => 131072);$$;
