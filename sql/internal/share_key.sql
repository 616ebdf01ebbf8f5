-- All that the model would see, and nothing that only llmq sees.
create function llmq.share_key(messages jsonb, response_schema jsonb, tools jsonb, settings jsonb) returns uuid
language sql immutable parallel safe
as $$
  select md5(jsonb_build_array(
    messages, response_schema, tools, settings - '{share,cache_seconds,refuse_above,timeout}'::text[]
  )::text)::uuid
$$;
comment on function llmq.share_key(jsonb, jsonb, jsonb, jsonb) is
  'Internal: equal for requests that ask a model the same. Whether they ask the same model is compared apart.';
