-- processing -> pending: given back unfinished. No attempt is counted.
create function llmq.release_llm_requests(
  worker_id     uuid,
  request_ids   uuid[] = null,
  except_claims bigint[] = null
) returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_held     llmq.queue[];
  v_outcomes jsonb;
begin
  with held as materialized (
    select q as held, q.id
    from llmq.queue as q
    where q.status = 'processing' and q.worker_id = worker_id
      and (request_ids is null or q.id = any (request_ids))
      and (except_claims is null or q.claim_id <> all (except_claims))
    order by q.id
    for update
  ),
  released as (
    update llmq.queue as q
    set status = 'pending', tag = null, claim_id = null, worker_id = null, run_at = clock_timestamp(),
        reserved_input = null, reserved_output = null, reserved_usd = null, calls = q.calls + 1, updated_at = clock_timestamp()
    where q.id = any (array(select h.id from held as h))
  )
  select array_agg(h.held) into v_held from held as h;
  if v_held is null then
    return 0;
  end if;
  v_outcomes := (
    select jsonb_agg(jsonb_build_object('request_id', h.id, 'calls', '[{"outcome": "released"}]'::jsonb)) from unnest(v_held) as h
  );
  perform llmq.write_attempts(v_held, v_outcomes);
  perform llmq.settle(v_held, v_outcomes);
  perform llmq.release_held((select array_agg(h.agent_id) from unnest(v_held) as h));
  perform pg_notify('llmq_wake', '');
  return cardinality(v_held);
end
$$;
comment on function llmq.release_llm_requests(uuid, uuid[], bigint[]) is
$$Gives unfinished requests of a worker back: pending again, no attempt counted, a ledger row released for each. Returns how many.
worker_id: who holds them.
request_ids: only these; null: everything it holds.
except_claims: not what it holds by these claim_ids. A worker that lost the answer of a claim gives back what it does not know of by naming all it knows.$$;
