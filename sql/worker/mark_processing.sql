-- pending -> processing, for one request by id: a worker that knows what it wants (an external one).
create function llmq.mark_processing(request_id uuid, worker_id uuid = null) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_worker uuid := coalesce(worker_id, llmq.session_worker());
  v_taken  llmq.queue;
  v_held   llmq.in_flight;
begin
  if not exists (select from llmq.workers as w where w.id = v_worker) then
    raise exception using errcode = 'LQ004', message = format('worker %s is not registered', v_worker),
      hint = 'Call llmq.register_worker() for a new id.';
  end if;
  delete from llmq.queue as q
  where q.id = request_id and (q.deadline is null or q.deadline > clock_timestamp())
  returning q.* into v_taken;
  if not found then
    perform llmq.raise_illegal_transition(request_id, 'processing');
  end if;
  v_held := llmq.unclaimed(v_taken);
  v_held.worker_id := v_worker;
  v_held.claim_id := nextval('llmq.claim_ids');
  v_held.started_at := clock_timestamp();
  insert into llmq.in_flight select v_held.*;
  return v_held.claim_id;
end
$$;
comment on function llmq.mark_processing(uuid, uuid) is
$$Takes one pending request by its id (also one that is not due yet); returns the claim_id to finish it with.
request_id: the request.
worker_id: from llmq.register_worker(); null: a worker of this session.
Errors: LQ002 unknown, LQ004 unknown worker, LQ007 not pending, or its deadline has passed.$$;
