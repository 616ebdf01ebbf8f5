create function llmq.lost_claims(worker_id uuid, claim_ids bigint[]) returns setof bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select c.claim_id
  from unnest(claim_ids) as c (claim_id)
  where not exists (
    select from llmq.in_flight as f where f.worker_id = lost_claims.worker_id and f.claim_id = c.claim_id
  )
$$;
comment on function llmq.lost_claims(uuid, bigint[]) is
$$Which of these claims the worker holds no more: their requests ended, or run elsewhere, so nobody waits for those calls. For a worker that asks now and then, since the answer of llmq.take_cancellations() can be lost on its way.
worker_id: from llmq.register_worker().
claim_ids: of the calls it is making.$$;
