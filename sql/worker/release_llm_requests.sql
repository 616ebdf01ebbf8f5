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
  v_held     llmq.in_flight[];
  v_outcomes jsonb;
begin
  select array_agg(h.held) into v_held
  from (
    select f as held
    from llmq.in_flight as f
    where f.worker_id = worker_id
      and (request_ids is null or f.id = any (request_ids))
      and (except_claims is null or f.claim_id <> all (except_claims))
    order by f.id
    for update
  ) as h;
  if v_held is null then
    return 0;
  end if;
  v_outcomes := (
    select jsonb_agg(jsonb_build_object('request_id', h.id, 'calls', '[{"outcome": "released"}]'::jsonb)) from unnest(v_held) as h
  );
  perform llmq.write_attempts(v_held, v_outcomes);
  perform llmq.put_back(v_held, 1, clock_timestamp());
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
