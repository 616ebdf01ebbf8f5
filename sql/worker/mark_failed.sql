-- processing -> failed, or -> pending when the kind of error is worth another try.
create function llmq.mark_failed(
  request_id        uuid,
  error_type        text,
  error_message     text,
  claim_id          bigint = null,
  retry             boolean = null,
  response          text = null,
  validation_errors jsonb = null,
  calls             jsonb = null
) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_claim  bigint;
  v_class  text;
  v_status text;
  v_calls  jsonb;
begin
  v_class := case error_type
    when 'provider_unavailable' then 'transient'
    when 'malformed_response' then 'invalid'
    when 'deadline_exceeded' then 'deadline'
    else error_type
  end;
  if v_class is null or v_class not in ('transient', 'invalid', 'exception', 'refused', 'truncated', 'too_long', 'bad_request', 'deadline') then
    raise exception using errcode = 'LQ001', message = format('unknown error_type %s', coalesce(quote_literal(error_type), 'null')),
      hint = 'One of provider_unavailable, malformed_response, exception, refused, truncated, too_long, bad_request, deadline_exceeded.';
  end if;
  if error_message is null then
    raise exception using errcode = 'LQ001', message = 'error_message must not be null';
  end if;
  v_calls := coalesce(calls, jsonb_build_array(jsonb_build_object('outcome', v_class, 'error_message', error_message)));
  select f.claim_id into v_claim
  from llmq.in_flight as f
  where f.id = request_id and (claim_id is null or f.claim_id = claim_id)
  for update;
  if not found then
    perform llmq.raise_illegal_transition(request_id, 'failed');
  end if;
  if retry is false then
    perform llmq.finish_requests(jsonb_build_array(jsonb_build_object(
      'request_id', request_id, 'claim_id', v_claim, 'status', 'failed', 'error_type', error_type,
      'error_message', error_message, 'response', response, 'validation_errors', validation_errors,
      'failures', 1, 'calls', v_calls
    )));
    return 'failed';
  end if;
  select f.status into v_status
  from llmq.fail_requests(jsonb_build_array(jsonb_build_object(
    'request_id', request_id, 'claim_id', v_claim, 'error_class', v_class, 'error_type', error_type,
    'error_message', error_message, 'response', response, 'validation_errors', validation_errors,
    'calls', v_calls
  ))) as f;
  return v_status;
end
$$;
comment on function llmq.mark_failed(uuid, text, text, bigint, boolean, text, jsonb, jsonb) is
$$Reports that one processing request failed, and returns its status now: pending when it will be tried again, else failed.
request_id: the request.
error_type: provider_unavailable and exception are tried again until max_attempts; malformed_response and too_long with the next fitting model of the route; refused, truncated, bad_request and deadline_exceeded fail.
error_message: for people.
claim_id: from the claim, fences against a worker that took over; null: whoever holds it.
retry: false fails it for good; null or true: as error_type says.
response: the answer that could not be used.
validation_errors: [{"type", ...}], as in llmq.llm_requests.
calls: rows of the ledger, as for llmq.mark_completed; null: one row with this error.
Errors: LQ001 unknown error_type or no error_message, LQ002 unknown, LQ007 not processing, or held by another claim: nothing was changed.$$;
