create function llmq.configure_provider(
  name        text,
  kind        text = null,
  base_url    text = null,
  api_key_env text = null,
  options     jsonb = null,
  paused      boolean = null,
  requests_per_minute      int = null,
  input_tokens_per_minute  int = null,
  output_tokens_per_minute int = null,
  tokens_per_minute        int = null,
  max_concurrency          int = null
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
  perform llmq.check_name(name, 'name');
  update llmq.providers as p
  set kind = coalesce(configure_provider.kind, p.kind),
      base_url = coalesce(configure_provider.base_url, p.base_url),
      api_key_env = coalesce(configure_provider.api_key_env, p.api_key_env),
      options = coalesce(configure_provider.options, p.options),
      paused = coalesce(configure_provider.paused, p.paused),
      requests_per_minute = coalesce(configure_provider.requests_per_minute, p.requests_per_minute),
      input_tokens_per_minute = coalesce(configure_provider.input_tokens_per_minute, p.input_tokens_per_minute),
      output_tokens_per_minute = coalesce(configure_provider.output_tokens_per_minute, p.output_tokens_per_minute),
      tokens_per_minute = coalesce(configure_provider.tokens_per_minute, p.tokens_per_minute),
      max_concurrency = coalesce(configure_provider.max_concurrency, p.max_concurrency),
      updated_at = now()
  where p.name = configure_provider.name;
  if not found then
    if kind is null then
      raise exception using errcode = 'LQ001', message = format('provider %s is new and needs a kind', quote_literal(name)),
        hint = 'One of openai, anthropic, google, openai-compatible, external, sim.';
    end if;
    insert into llmq.providers (
      name, kind, base_url, api_key_env, options, paused, requests_per_minute, input_tokens_per_minute,
      output_tokens_per_minute, tokens_per_minute, max_concurrency
    ) values (
      name, kind, base_url, api_key_env, coalesce(options, '{}'), coalesce(paused, false), requests_per_minute,
      input_tokens_per_minute, output_tokens_per_minute, tokens_per_minute, max_concurrency
    );
  end if;
exception when check_violation then
  raise exception using errcode = 'LQ001', message = format('provider %s: %s', quote_literal(name), sqlerrm),
    hint = 'Limits are whole numbers above 0. kind: openai, anthropic, google, openai-compatible (needs base_url), external, sim. base_url: http(s)://.... api_key_env: the name of an environment variable, never a key.';
end
$$;
comment on function llmq.configure_provider(text, text, text, text, jsonb, boolean, int, int, int, int, int) is
$$Adds or changes a provider; an argument left out keeps what is there. To empty a column, update llmq.providers.
name: what models refer to.
kind: openai, anthropic, google, openai-compatible, external or sim; needed for a new one.
base_url: where the API is, http or https; null: the vendor's own address. openai-compatible needs one.
api_key_env: name of the orchestrator's environment variable that holds the key, never the key itself; null: no key is sent.
options: {"headers": {...}}, {"api": "responses"} for openai, {"structured_output": [...]}; replaces the options that are there.
paused: true: no request is claimed for any of its models; they wait.
requests_per_minute: calls begun in any 60 seconds with this key, over all its models and all orchestrators; so are the other limits. They hold beside those of llmq.configure_model.
input_tokens_per_minute: tokens of prompts.
output_tokens_per_minute: tokens of answers.
tokens_per_minute: both together.
max_concurrency: calls in flight at once.
Errors: LQ001.
Example: select llmq.configure_provider('groq', 'openai-compatible', 'https://api.groq.com/openai/v1', 'GROQ_API_KEY');$$;
