create function llmq.take_cancellations(worker_id uuid) returns table (request_id uuid, claim_id bigint)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  delete from llmq.cancellations as c
  where c.worker_id = take_cancellations.worker_id
  returning c.request_id, c.claim_id
$$;
comment on function llmq.take_cancellations(uuid) is
$$Calls that this worker should abort: their requests were cancelled or ran out of time. Each is told once.
worker_id: from llmq.register_worker().$$;
