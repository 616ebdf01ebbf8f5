-- THE VIEW: what apps, ORMs and DBAs read. Requests of agents that belong to other roles are left out.
--
-- The row filter alone would not keep them secret: a cheap function in the caller's own WHERE is evaluated
-- before it and sees what is in the row. A security barrier would stop that, and every index with it. So what
-- people said is null until the filter has spoken; times, counts and names are not worth that.
create view llmq.llm_requests as
select
  v.id, v.agent_id, v.task_type, v.complexity,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.messages end as messages,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.context end as context,
  v.status, v.published_at,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.error_message end as error_message,
  v.created_at, v.updated_at,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.response_schema end as response_schema,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.response end as response,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.parsed_response end as parsed_response,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.validation_errors end as validation_errors,
  v.error_type, v.priority, v.run_at, v.deadline, v.started_at, v.finished_at, v.model, v.provider,
  v.attempts, v.max_attempts, v.capacity_waits, v.reasks, v.crashes, v.calls, v.finish_reason,
  v.repairs, v.input_tokens, v.output_tokens, v.cached_input_tokens, v.reasoning_tokens, v.cost_usd,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.tools end as tools,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.settings end as settings,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.idempotency_key end as idempotency_key,
  v.reply_to, v.parent_id,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.tool_results end as tool_results,
  v.next_request_id,
  case when v.agent_id <> all ((select llmq.hidden_agents())::text[]) then v.fallbacks end as fallbacks
from llmq.all_llm_requests as v
where v.agent_id <> all ((select llmq.hidden_agents())::text[]);

comment on view llmq.llm_requests is
$$Every request, waiting, running or finished: what became of it?
insert into llmq.llm_requests (agent_id, task_type, messages, ...) submits one; UPDATE and DELETE are refused (LQ007). Newest first: order by id desc.$$;
comment on column llmq.llm_requests.status is 'pending, processing, completed, failed or cancelled.';
comment on column llmq.llm_requests.published_at is 'When it was copied to the pgmq queue llm_requests; null without pgmq.';
comment on column llmq.llm_requests.response is 'The model''s answer as it came.';
comment on column llmq.llm_requests.parsed_response is 'The answer as JSON after repair and schema check; {"tool_calls": [{"id", "tool_name", "params"}], "final_response"} for tool calls.';
comment on column llmq.llm_requests.validation_errors is '[{"type": "json_decode_error", "error", "position", "response_preview"}] or [{"type": "schema_violation", "field", "message"}, ...].';
comment on column llmq.llm_requests.attempts is 'Failures that counted so far; capacity waits, re-asks and crashes have columns of their own.';
comment on column llmq.llm_requests.model is 'The model that will be, is being or was asked last.';
comment on column llmq.llm_requests.tool_results is 'What the agent gave back for the tool calls of this answer (llmq.submit_tool_results).';
comment on column llmq.llm_requests.next_request_id is 'The request that carries the conversation on after its tool calls.';
comment on column llmq.llm_requests.fallbacks is 'Why other models of the route did not answer, in order: [{"model", "outcome", "error_message"}, ...]; null when none was asked or passed over.';
comment on column llmq.llm_requests.id is 'UUIDv7: sorts by time of submit.';
comment on column llmq.llm_requests.messages is 'The conversation as submitted; not for llmq_reader, as all prompts and answers.';
comment on column llmq.llm_requests.updated_at is 'Last change; the same as finished_at once finished.';
comment on column llmq.llm_requests.error_type is 'provider_unavailable, malformed_response, exception, deadline_exceeded, refused, truncated, too_long, bad_request, lost, budget_exceeded: set when failed, and while pending after a failure.';
comment on column llmq.llm_requests.error_message is 'Why it failed or was cancelled; of the last failure (cut to 300 characters) while it is not finished.';
comment on column llmq.llm_requests.run_at is 'Not before this: as submitted, or when the next attempt is due.';
comment on column llmq.llm_requests.started_at is 'When the last claim began.';
comment on column llmq.llm_requests.max_attempts is 'Failures after which it fails.';
comment on column llmq.llm_requests.capacity_waits is 'How often the model was limited, out of quota or misconfigured: not an attempt.';
comment on column llmq.llm_requests.reasks is 'How often the model was asked again with the errors of its answer.';
comment on column llmq.llm_requests.crashes is 'How many workers died over it.';
comment on column llmq.llm_requests.calls is 'Calls made so far: rows of llmq.attempts.';
comment on column llmq.llm_requests.finish_reason is 'How the model ended: stop, length, tool_calls, content_filter, other.';
comment on column llmq.llm_requests.repairs is 'What was mended in the answer, in order: think_block, code_fence, extracted_json, repaired_json, coerced, reasked, larger_max_tokens.';
comment on column llmq.llm_requests.input_tokens is 'Sum over all calls, failed ones included; so are the other token columns and cost_usd.';
comment on column llmq.llm_requests.cost_usd is 'US dollars; null until it is finished, and where no call has a cost (llmq.attempts.cost_usd).';
comment on column llmq.llm_requests.reply_to is 'The pgmq queue that gets the result.';
comment on column llmq.llm_requests.parent_id is 'The request whose tool calls this one answers, or whatever the submitter gave.';
