create function llmq.heartbeat_worker(worker_id uuid, info jsonb = null) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update llmq.workers as w
  set heartbeat_at = clock_timestamp(), info = coalesce(heartbeat_worker.info, w.info)
  where w.id = worker_id;
  return found;
end
$$;
comment on function llmq.heartbeat_worker(uuid, jsonb) is
$$Says that a worker lives. False when it was already given up: its requests run elsewhere, register anew.
worker_id: from llmq.register_worker().
info: replaces what llmq.workers shows; null keeps it.$$;
