-- The path goes over the keys that are there: the first alternative that fits ends the search for a key.
-- An integer is a number without a fraction: 100.0 is one, as in JSON Schema.
create function llmq.check_settings(settings jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if settings is null or settings @? $path$strict $ ? (
    @.type() == "object" && !exists(@.keyvalue() ? (!exists(@ ? (
      @.key == "temperature" && @.value >= 0 && @.value <= 2
      || @.key == "max_tokens" && @.value >= 1 && @.value <= 2147483647 && @.value == @.value.floor()
      || @.key == "top_p" && @.value >= 0 && @.value <= 1
      || @.key == "seed" && @.value >= -9007199254740991 && @.value <= 9007199254740991 && @.value == @.value.floor()
      || @.key == "stop" && (@.value.type() == "string"
        || @.value.size() <= 16 && !exists(@.value[*] ? (@.type() != "string")))
      || @.key == "tool_choice" && (@.value == "auto" || @.value == "none" || @.value == "required"
        || @.value.type == "function" && @.value.function.name.type() == "string" && @.value.function.name != "")
      || @.key == "reasoning_effort" && @.value like_regex "^(none|minimal|low|medium|high|xhigh)$"
      || @.key == "timeout" && @.value > 0 && @.value <= 86400
      || @.key == "validation_retries" && @.value >= 0 && @.value <= 10 && @.value == @.value.floor()
      || @.key == "share" && @.value.type() == "boolean"
      || @.key == "cache_seconds" && @.value >= 1 && @.value <= 31536000 && @.value == @.value.floor()
      || @.key == "refuse_above" && @.value >= 1 && @.value <= 1000000 && @.value == @.value.floor()
      || @.key == "top_k" && @.value >= 1 && @.value <= 2147483647 && @.value == @.value.floor()
      || (@.key == "presence_penalty" || @.key == "frequency_penalty") && @.value >= -2 && @.value <= 2
      || @.key == "provider_options" && @.value.type() == "object" && !exists(@.value.* ? (@.type() != "object"))
    ))))
  )$path$ then
    return;
  end if;
  perform llmq.refuse_settings(settings);
end
$$;
comment on function llmq.check_settings(jsonb) is
$$Internal: settings must be an object (null counts as {}) of known keys, each of the right type and in range, else LQ001.
temperature 0 to 2, max_tokens, top_p 0 to 1, top_k, seed, stop (text or up to 16), presence_penalty and frequency_penalty -2 to 2, tool_choice, reasoning_effort, provider_options (an object per provider), validation_retries 0 to 10, timeout (seconds, up to 86400), share, cache_seconds (1 to a year), refuse_above (1 to 1,000,000).$$;
