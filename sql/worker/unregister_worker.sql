create function llmq.unregister_worker(worker_id uuid) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform llmq.release_llm_requests(worker_id);
  delete from llmq.cancellations as c where c.worker_id = unregister_worker.worker_id;
  delete from llmq.workers as w where w.id = worker_id;
  return found;
end
$$;
comment on function llmq.unregister_worker(uuid) is
$$A worker leaves: whatever it still holds goes back to pending, no attempt counted. False when it was not registered.
worker_id: from llmq.register_worker().$$;
