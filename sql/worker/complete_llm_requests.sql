-- processing -> completed, a whole batch in one call.
create function llmq.complete_llm_requests(answers jsonb)
returns table (request_id uuid, applied boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
  v_ids    uuid[];
  v_newest boolean[];
  v_plain  boolean;
  v_done   uuid[];
begin
  if jsonb_typeof(answers) is distinct from 'array' then
    raise exception using errcode = 'LQ001', message = 'answers must be an array of objects';
  end if;
  -- As a rule every report can be used as it is: putting them together again costs as much as storing them.
  select array_agg(o.request_id order by o.place), count(distinct o.request_id) = count(*) and count(o.claim_id) = count(*)
  into v_ids, v_plain
  from rows from (jsonb_to_recordset(answers) as (request_id uuid, claim_id bigint)) with ordinality as o (request_id, claim_id, place);
  if not v_plain then
    select
      array_agg(a.request_id order by a.place), array_agg(a.newest order by a.place),
      jsonb_agg(a.report || jsonb_build_object('claim_id', a.claim_id) order by a.place) filter (where a.newest)
    into v_ids, v_newest, answers
    from llmq.newest_claims(answers) as a;
  end if;
  v_done := llmq.finish_requests(answers, 'completed');
  return query
  select u.id, coalesce(u.newest, true) and u.id in (select unnest(v_done))
  from unnest(v_ids, v_newest) with ordinality as u (id, newest, place)
  order by u.place;
end
$$;
comment on function llmq.complete_llm_requests(jsonb) is
$$Stores the answers of a batch in one statement. applied is false for a request that this claim no longer holds: nothing was changed for it.
answers: [{"request_id", "claim_id", "response", "parsed_response", "repairs", "finish_reason", "reasks", "calls": [ledger rows, as for llmq.mark_completed]}]. Without its claim_id an answer changes nothing.
Errors: 55P03 another transaction held one of them for a second, nothing was stored: llmq.busy_claims() tells which; LQ001 no array.$$;
