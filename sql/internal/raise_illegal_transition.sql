create function llmq.raise_illegal_transition(request_id uuid, target text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_status text;
  v_claim  bigint;
begin
  select v.status into v_status from llmq.all_llm_requests as v where v.id = request_id;
  select h.claim_id into v_claim from llmq.in_flight as h where h.id = request_id;
  if v_status is null then
    perform llmq.raise_not_found(request_id);
  end if;
  raise exception using errcode = 'LQ007',
    message = format('request %s cannot become %s', request_id, target),
    detail = format('It is %s%s.', v_status, coalesce(', held by claim ' || v_claim, '')),
    hint = case v_status
      when 'pending' then 'Claim it first: llmq.claim_pending_llm_requests() or llmq.mark_processing().'
      when 'processing' then 'Another worker holds it; what this one did changes nothing.'
      else 'It is finished. llmq.retry_llm_request() runs a failed or cancelled one again.'
    end;
end
$$;
comment on function llmq.raise_illegal_transition(uuid, text) is 'Internal: says why a transition was refused (LQ007), or that the request is unknown (LQ002).';
