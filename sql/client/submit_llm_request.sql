-- (nothing) -> pending, in the caller's transaction.
create function llmq.submit_llm_request(
  agent_id        text,
  task_type       text,
  messages        jsonb,
  complexity      text = 'medium',
  context         jsonb = '{}',
  response_schema jsonb = null,
  tools           jsonb = null,
  settings        jsonb = '{}',
  model           text = null,
  priority        int = 0,
  run_at          timestamptz = null,
  deadline        timestamptz = null,
  max_attempts    int = null,
  idempotency_key text = null,
  reply_to        text = null,
  parent_id       uuid = null
) returns uuid
language plpgsql volatile security definer
set search_path = ''
as $$
declare
  v_new llmq.new_request := llmq.check_request(
    agent_id, task_type, messages, complexity, context, response_schema, tools, settings, model, priority,
    run_at, deadline, max_attempts, idempotency_key, reply_to, parent_id
  );
  v_existing uuid;
begin
  v_new.id := llmq.uuid_v7();
  if idempotency_key is not null then
    v_existing := llmq.reserve_idempotency_key(agent_id, idempotency_key, v_new.id);
    if v_existing is not null then
      return v_existing;
    end if;
  end if;
  perform llmq.enqueue(array[v_new]);
  return v_new.id;
end
$$;
comment on function llmq.submit_llm_request is
$$Queues one LLM request in the caller's transaction and returns its id.
messages: OpenAI chat format, [{"role": "user", "content": "..."}]. complexity: simple, medium or complex (routing).
response_schema: JSON Schema the answer must satisfy. tools: OpenAI tool definitions. settings: temperature, max_tokens, top_p, seed, stop, tool_choice, reasoning_effort, provider_options, ....
model: asks this model and no other. priority: -100 to 100, higher first. run_at: not before. deadline: fails with deadline_exceeded if not finished by then.
idempotency_key: the same key of the same agent returns the first request's id. reply_to: pgmq queue that gets the result.
Errors: LQ001 invalid input, LQ003 no route or model, LQ005 not your agent, LQ006 reply_to. Nothing is stored on an error.$$;
