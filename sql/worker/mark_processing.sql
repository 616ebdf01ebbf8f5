-- pending -> processing, for one request by id: a worker that knows what it wants (an external one).
create function llmq.mark_processing(request_id uuid, worker_id uuid = null) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_worker uuid := coalesce(worker_id, llmq.session_worker());
  v_taken  llmq.queue;
  v_claim  bigint;
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
  insert into llmq.in_flight (
    id, worker_id, claim_id, started_at, run_at, deadline, created_at, pgmq_msg_id, lane, calls, capacity_waits, priority,
    max_attempts, attempts, reasks, crashes, route_step, pinned, has_reply_to, agent_id, task_type, complexity,
    error_type, error_message
  ) values (
    v_taken.id, v_worker, nextval('llmq.claim_ids'), clock_timestamp(), v_taken.run_at, v_taken.deadline, v_taken.created_at,
    v_taken.pgmq_msg_id, v_taken.lane, v_taken.calls, v_taken.capacity_waits, v_taken.priority, v_taken.max_attempts,
    v_taken.attempts, v_taken.reasks, v_taken.crashes, v_taken.route_step, v_taken.pinned, v_taken.has_reply_to,
    v_taken.agent_id, v_taken.task_type, v_taken.complexity, v_taken.error_type, v_taken.error_message
  )
  returning claim_id into v_claim;
  return v_claim;
end
$$;
comment on function llmq.mark_processing(uuid, uuid) is
$$Takes one pending request by its id (also one that is not due yet); returns the claim_id to finish it with.
request_id: the request.
worker_id: from llmq.register_worker(); null: a worker of this session.
Errors: LQ002 unknown, LQ004 unknown worker, LQ007 not pending, or its deadline has passed.$$;
