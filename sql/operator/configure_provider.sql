create function llmq.configure_provider(
  name        text,
  kind        text = null,
  base_url    text = null,
  api_key_env text = null,
  options     jsonb = null,
  paused      boolean = null
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
      updated_at = now()
  where p.name = configure_provider.name;
  if not found then
    if kind is null then
      raise exception using errcode = 'LQ001', message = format('provider %s is new and needs a kind', quote_literal(name)),
        hint = 'One of openai, anthropic, google, openai-compatible, external, sim.';
    end if;
    insert into llmq.providers (name, kind, base_url, api_key_env, options, paused)
    values (name, kind, base_url, api_key_env, coalesce(options, '{}'), coalesce(paused, false));
  end if;
exception when check_violation then
  raise exception using errcode = 'LQ001', message = format('provider %s: %s', quote_literal(name), sqlerrm),
    hint = 'kind: openai, anthropic, google, openai-compatible (needs base_url), external, sim. base_url: http(s)://.... api_key_env: the name of an environment variable, never a key.';
end
$$;
comment on function llmq.configure_provider(text, text, text, text, jsonb, boolean) is
$$Adds or changes a provider; an argument left out keeps what is there. To empty a column, update llmq.providers.
name: what models refer to.
kind: openai, anthropic, google, openai-compatible, external or sim; needed for a new one.
base_url: where the API is, http or https; null: the vendor's own address. openai-compatible needs one.
api_key_env: name of the orchestrator's environment variable that holds the key, never the key itself; null: no key is sent.
options: {"headers": {...}}, {"api": "responses"} for openai, {"structured_output": [...]}; replaces the options that are there.
paused: true: no request is claimed for any of its models; they wait.
Errors: LQ001.
Example: select llmq.configure_provider('groq', 'openai-compatible', 'https://api.groq.com/openai/v1', 'GROQ_API_KEY');$$;
