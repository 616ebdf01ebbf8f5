create function llmq.check_context(context jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if context is null then
    return;
  end if;
  if jsonb_typeof(context) <> 'object' then
    perform llmq.raise_invalid('context must be an object', llmq.describe_value(context), 'Leave it out or send {}.');
  end if;
  if context ? 'executor' and context -> 'executor' <> '"external"' then
    perform llmq.raise_invalid(
      'context.executor must be ''external''', llmq.describe_value(context -> 'executor'),
      'Leave it out for requests that the orchestrator answers.'
    );
  end if;
  if jsonb_typeof(context -> 'traceparent') <> 'string' then
    perform llmq.raise_invalid(
      'context.traceparent must be a string', llmq.describe_value(context -> 'traceparent'),
      'See W3C Trace Context: 00-<trace id>-<parent id>-<flags>.'
    );
  end if;
end
$$;
comment on function llmq.check_context(jsonb) is
  'Internal: context must be an object (null counts as {}); executor absent or external; traceparent a string; else LQ001. Other keys are the caller''s own.';
