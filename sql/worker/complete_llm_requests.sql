-- processing -> completed, a whole batch in one call.
create function llmq.complete_llm_requests(answers jsonb)
returns table (request_id uuid, applied boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ids    uuid[];
  v_newest boolean[];
  v_plain  boolean;
  v_done   uuid[];
begin
  select
    array_agg(a.request_id order by a.place), array_agg(a.newest order by a.place),
    bool_and(a.newest and a.claim_id > 0)
  into v_ids, v_newest, v_plain
  from llmq.newest_claims(answers) as a;
  -- As a rule every report can be used as it is: putting them together again costs as much as storing them.
  if not v_plain then
    answers := (
      select jsonb_agg(a.report || jsonb_build_object('claim_id', a.claim_id) order by a.place)
      from llmq.newest_claims(answers) as a
      where a.newest
    );
  end if;
  v_done := llmq.finish_requests(answers, 'completed');
  return query
  select u.id, u.newest and u.id = any (v_done)
  from unnest(v_ids, v_newest) with ordinality as u (id, newest, place)
  order by u.place;
end
$$;
comment on function llmq.complete_llm_requests(jsonb) is
$$Stores the answers of a batch in one statement. applied is false for a request that this claim no longer holds: nothing was changed for it.
answers: [{"request_id", "claim_id", "response", "parsed_response", "repairs", "finish_reason", "reasks", "calls": [ledger rows, as for llmq.mark_completed]}]. Without its claim_id an answer changes nothing.$$;
