create function llmq.fallbacks_of(request_id uuid, model text) returns jsonb
language sql stable
as $$
  select jsonb_agg(jsonb_build_object('model', a.model, 'outcome', a.outcome, 'error_message', a.error_message) order by a.number)
  from llmq.attempts as a
  where a.request_id = fallbacks_of.request_id and a.model <> fallbacks_of.model
$$;
comment on function llmq.fallbacks_of(uuid, text) is 'Internal: why models before this one did not answer a request.';
