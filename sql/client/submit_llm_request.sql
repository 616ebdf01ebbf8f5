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
set search_path = pg_catalog, pg_temp
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
  perform llmq.enqueue_one(v_new);
  return v_new.id;
end
$$;
comment on function llmq.submit_llm_request is
$$Queues one LLM request in the caller's transaction and returns its id. The request exists exactly when that transaction commits.
agent_id: on whose behalf, 1 to 200 characters. Results are announced per agent (llmq.result_channel), and agents share a model fairly.
task_type: what kind of work, 1 to 200 characters; routes may depend on it.
messages: the conversation in OpenAI's chat format, 1 to 10,000 messages: [{"role": "user", "content": "..."}]. Roles system, developer, user, assistant, tool; parts text, image_url, file, input_audio.
complexity: simple, medium or complex; with task_type it chooses the route (llmq.routes).
context: an object of the caller's own, never sent to the model. {"executor": "external"}: somebody else's worker answers, through pgmq.
response_schema: JSON Schema (draft 2020-12, or 07 when $schema says so) that the answer must satisfy; at most 256 kB, $ref only inside itself.
tools: tools the model may call, at most 128: [{"type": "function", "function": {"name", "description", "parameters"}}].
settings: an object with any of temperature (0 to 2), max_tokens, top_p, top_k, seed, stop, presence_penalty, frequency_penalty, tool_choice, reasoning_effort (none to xhigh), validation_retries (0 to 10), timeout (seconds for one call), provider_options ({"openai": {...}}).
model: asks this row of llmq.models and no other; null: routed, with fall-back along the route.
priority: -100 to 100, higher first.
run_at: not before this; null: at once.
deadline: fails with deadline_exceeded when not finished by then, queued or running.
max_attempts: failures after which it fails, 1 to 1000; null: the setting max_attempts.
idempotency_key: the same key of the same agent returns the first request's id and stores nothing, until that request's retention ends.
reply_to: an existing pgmq queue that gets {"request_id", "agent_id", "task_type", "status", "response", "parsed_response", "validation_errors", "error_type", "error_message", "model", "finished_at"} in the transaction that finishes the request.
parent_id: a request this one belongs to; kept as given, not checked.
Errors: LQ001 invalid input, LQ003 no route or unknown model, LQ005 not your agent, LQ006 reply_to is no pgmq queue. Nothing is stored on an error.
Example: select llmq.submit_llm_request(agent_id => 'support', task_type => 'summary', messages => '[{"role": "user", "content": "Hello"}]');$$;
