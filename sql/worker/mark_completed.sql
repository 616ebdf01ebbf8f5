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
set search_path = ''
as $$
declare
  v_applied boolean;
begin
  if response is null then
    raise exception using errcode = 'LQ001', message = 'response must not be null', hint = 'Use llmq.mark_failed() when there is no answer.';
  end if;
  if not exists (
    select from llmq.queue as q
    where q.id = mark_completed.request_id and q.status = 'processing'
      and (mark_completed.claim_id is null or q.claim_id = mark_completed.claim_id)
  ) then
    perform llmq.raise_illegal_transition(request_id, 'completed');
  end if;
  select c.applied into v_applied
  from llmq.complete_llm_requests(jsonb_build_array(jsonb_build_object(
    'request_id', mark_completed.request_id,
    'claim_id', coalesce(mark_completed.claim_id, (select q.claim_id from llmq.queue as q where q.id = mark_completed.request_id)),
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
$$Stores the answer of one processing request. claim_id (from the claim) fences against a worker that took over; null: whoever holds it.
Errors: LQ002 unknown, LQ007 not processing, or held by another claim: nothing was changed.$$;
