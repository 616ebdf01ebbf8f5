-- pending or processing -> completed, failed, cancelled: the one place where a request ends. Deletes its row in
-- flight or in the queue, writes ledger and results, archives the pgmq copies, sends reply_to, tells the agents, and
-- gives back what the call reserved: one transaction. A row that is not there any more, or is held by another claim,
-- is left out of the answer.
--
-- Fenced on the primary key and the claim. claim_id is unique over all claims, so two arrays are as exact as pairs, as
-- long as each claim is reported with its own request. Where two are mixed up, the count of results tells, and nothing
-- is lost. An outcome without a claim ends the request whoever has it, or while nobody has.
--
-- Joins of arrays are planned as one row times one row, for which a nested loop looks best and then reads
-- each side once per row of the other (4 of 6 ms at 200 requests): hence enable_nestloop = off.
create function llmq.finish_requests(outcomes jsonb, status text = null) returns uuid[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_nestloop = off
set enable_mergejoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_now      timestamptz;
  v_ids      uuid[];
  v_claims   bigint[];
  v_unfenced uuid[];
  v_gone     llmq.in_flight[];
  v_done     uuid[];
  v_agents   text[];
  v_messages bigint[];
  v_replies  uuid[];
  v_reserved boolean;
  v_stored   int;
begin
  select
    array_agg(o.request_id order by o.request_id), array_agg(o.claim_id),
    array_agg(o.request_id order by o.request_id) filter (where o.claim_id is null)
  into v_ids, v_claims, v_unfenced
  from jsonb_to_recordset(outcomes) as o (request_id uuid, claim_id bigint);

  -- Those without a claim stay where they are from here on.
  perform llmq.lock_unfinished(u.id) from unnest(v_unfenced) as u (id);
  with held as (
    delete from llmq.in_flight as h
    where h.id = any (v_ids) and (h.claim_id in (select unnest(v_claims)) or h.id = any (v_unfenced))
    returning h as q
  ),
  waiting as (
    delete from llmq.queue as w
    where w.id = any (v_unfenced)
    returning llmq.unclaimed(w) as q
  ),
  gone as (select h.q from held as h union all select w.q from waiting as w)
  select
    array_agg(g.q), array_agg((g.q).id), array_agg((g.q).agent_id),
    array_agg((g.q).pgmq_msg_id) filter (where (g.q).pgmq_msg_id is not null),
    array_agg((g.q).id) filter (where (g.q).has_reply_to),
    bool_or(num_nonnulls((g.q).reserved_input, (g.q).reserved_usd) > 0)
  into v_gone, v_done, v_agents, v_messages, v_replies, v_reserved
  from gone as g;
  if v_gone is null then
    return '{}';
  end if;
  -- Read behind the first write: whoever follows by finished_at (llmq tail) relies on a transaction number that is older.
  v_now := clock_timestamp();

  perform llmq.write_attempts(v_gone, outcomes);

  insert into llmq.results (
    id, agent_id, task_type, complexity, priority, status, model, provider, created_at, started_at, finished_at,
    published_at, run_at, deadline, error_type, error_message, finish_reason, attempts, max_attempts,
    capacity_waits, reasks, crashes, calls, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens,
    cost_usd, response, parsed_response, validation_errors, repairs
  )
  select
    g.id, g.agent_id, g.task_type, g.complexity, g.priority, coalesce(finish_requests.status, o.status), m.name, m.provider, g.created_at,
    g.started_at, v_now, case when g.pgmq_msg_id is not null then g.created_at end, g.run_at, g.deadline,
    o.error_type, o.error_message, o.finish_reason, g.attempts + coalesce(o.failures, 0), g.max_attempts,
    g.capacity_waits, g.reasks + coalesce(o.reasks, 0), g.crashes + coalesce(o.crashes, 0), coalesce(t.calls, 0),
    t.input_tokens, t.output_tokens, t.cached_input_tokens, t.reasoning_tokens, t.cost_usd,
    o.response, nullif(o.parsed_response, 'null'), nullif(o.validation_errors, 'null'), nullif(nullif(o.repairs, 'null'), '[]')
  from unnest(v_gone) as g
  join jsonb_to_recordset(outcomes) as o (
    request_id uuid, claim_id bigint, status text, response text, parsed_response jsonb, validation_errors jsonb, repairs jsonb,
    error_type text, error_message text, finish_reason text, failures int, reasks int, crashes int
  ) on o.request_id = g.id and (o.claim_id is null or o.claim_id = g.claim_id)
  -- A model that was deleted meanwhile must not take the answer with it.
  left join llmq.models as m on m.lane = g.lane
  left join (
    select
      a.request_id, count(*) as calls, sum(a.input_tokens) as input_tokens, sum(a.output_tokens) as output_tokens,
      sum(a.cached_input_tokens) as cached_input_tokens, sum(a.reasoning_tokens) as reasoning_tokens,
      sum(a.cost_usd) as cost_usd
    from llmq.attempts as a
    where a.request_id = any (v_ids) and a.request_id between v_ids[1] and v_ids[cardinality(v_ids)]
    group by a.request_id
  ) as t on t.request_id = g.id;
  get diagnostics v_stored = row_count;
  if v_stored <> cardinality(v_gone) then
    raise exception using errcode = 'LQ001', message = 'a claim_id belongs to another request of the batch',
      hint = 'Report each claim_id with the request that was claimed by it. Nothing was changed.';
  end if;

  if v_reserved then
    perform llmq.settle(v_gone, outcomes);
  end if;
  if exists (select from llmq.twins) then
    perform llmq.release_twins(v_gone);
  end if;
  if exists (select from llmq.queue as q where q.hold in ('agent_concurrency', 'agent_budget')) then
    perform llmq.release_held(v_agents);
  end if;
  if status = 'completed' then
    perform llmq.note_success(v_gone);
  end if;
  if v_messages is not null and llmq.pgmq_ready() then
    perform pgmq.archive('llm_requests', v_messages);
  end if;
  if v_replies is not null then
    perform llmq.send_replies(v_replies);
  end if;
  perform llmq.notify_agents(v_done, v_agents);
  return v_done;
end
$$;
comment on function llmq.finish_requests(jsonb, text) is 'Internal: ends requests with the given outcomes, all in the given status or each in its own; the ids that were really ended (not those that somebody else holds or ended).';
