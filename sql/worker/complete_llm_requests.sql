-- processing -> completed, a whole batch in one call.
create function llmq.complete_llm_requests(answers jsonb)
returns table (request_id uuid, applied boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_done uuid[];
begin
  v_done := llmq.finish_requests((
    select jsonb_agg(a.report || jsonb_build_object('status', 'completed', 'claim_id', a.claim_id) order by a.place)
    from llmq.newest_claims(answers) as a
    where a.newest
  ));
  perform llmq.note_success(v_done);
  return query
  select a.request_id, a.newest and a.request_id = any (v_done)
  from llmq.newest_claims(answers) as a
  order by a.place;
end
$$;
comment on function llmq.complete_llm_requests(jsonb) is
$$Stores the answers of a batch in one statement. applied is false for a request that this claim no longer holds: nothing was changed for it.
answers: [{"request_id", "claim_id", "response", "parsed_response", "repairs", "finish_reason", "reasks", "calls": [ledger rows, as for llmq.mark_completed]}]. Without its claim_id an answer changes nothing.$$;
