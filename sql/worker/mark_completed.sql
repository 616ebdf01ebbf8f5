-- processing -> completed, for one request.
create function llmq.mark_completed(
  request_id      uuid,
  response        text,
  parsed_response jsonb = null,
  claim_id        bigint = null,
  repairs         jsonb = null,
  calls           jsonb = '[{"outcome": "answered"}]'
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_applied boolean;
begin
  if response is null then
    raise exception using errcode = 'LQ001', message = 'response must not be null', hint = 'Use llmq.mark_failed() when there is no answer.';
  end if;
  if not exists (
    select from llmq.in_flight as f
    where f.id = mark_completed.request_id
      and (mark_completed.claim_id is null or f.claim_id = mark_completed.claim_id)
  ) then
    perform llmq.raise_illegal_transition(request_id, 'completed');
  end if;
  select c.applied into v_applied
  from llmq.complete_llm_requests(jsonb_build_array(jsonb_build_object(
    'request_id', mark_completed.request_id,
    'claim_id', coalesce(mark_completed.claim_id, (select f.claim_id from llmq.in_flight as f where f.id = mark_completed.request_id)),
    'response', response, 'parsed_response', parsed_response, 'repairs', repairs,
    'calls', coalesce(calls, '[]')
  ))) as c;
  if not v_applied then
    perform llmq.raise_illegal_transition(request_id, 'completed');
  end if;
  return true;
end
$$;
comment on function llmq.mark_completed(uuid, text, jsonb, bigint, jsonb, jsonb) is
$$Stores the answer of one processing request: processing -> completed. Always true.
request_id: the request.
response: the answer as it came.
parsed_response: the answer as JSON; it is not checked against the response_schema here.
claim_id: from the claim, fences against a worker that took over; null: whoever holds it.
repairs: what was mended, ["code_fence", ...].
calls: rows of the ledger llmq.attempts: [{"outcome", "started_at", "finished_at", "latency_ms", "first_byte_ms", "status_code", "error_message", "provider_request_id", "finish_reason", "output_mode", "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens", "cost_usd"}]; only outcome is needed.
Errors: LQ001 response is null, LQ002 unknown, LQ007 not processing, or held by another claim: nothing was changed.$$;
