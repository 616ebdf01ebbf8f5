-- After a report of a batch ended with lock_not_available: which of its rows are in somebody else's hands?
create function llmq.busy_claims(claim_ids bigint[]) returns setof bigint
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  with mine as materialized (
    select f.claim_id from llmq.in_flight as f where f.claim_id = any (claim_ids)
  ),
  free as materialized (
    select f.claim_id from llmq.in_flight as f where f.claim_id = any (claim_ids) for update skip locked
  )
  select m.claim_id from mine as m where m.claim_id not in (select r.claim_id from free as r)
$$;
comment on function llmq.busy_claims(bigint[]) is
$$Which of these claims are of requests that another transaction has locked (a cancellation that was not committed yet, say): their outcomes can be stored when it ends, those of the others at once. It waits for nobody.
claim_ids: of outcomes that could not be stored.$$;
