-- THE CLAIM. pending (ready) -> processing, for up to max_requests rows; never one row twice, never more
-- than asked.
--
-- 1. Rows that have become due are ranked (llmq.promote_waiting).
-- 2. Which lanes can run now? A few rows of llmq.lane_marks: not paused, not cooling down, and with a ready
--    row at or above the mark (one index probe each). A lane in trouble costs this probe and nothing more.
-- 3. Each lane is scanned from its mark in the order of the tags. The scan is lateral and the limit is
--    outside: a nested loop stops as soon as it has enough, so no row is locked that is not taken. The CTE
--    is materialized: it is the fence that keeps the plan from running the locking scan twice.
-- 4. The rows are updated by id array. `update ... from picked` on a table analyzed while nearly empty
--    walks the whole primary key (39,000 buffers).
-- 5. The marks of the served lanes move, at most every 100 ms, skipping rows that another claim holds.
--
-- Lock order: advisory locks (try only), then queue rows (skip locked), then marks (skip locked): a claim
-- never waits for another.
create function llmq.claim_pending_llm_requests(
  max_requests int = 50,
  worker_id    uuid = null,
  models       text[] = null
) returns setof llmq.claimed_request
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_mergejoin = off
set enable_hashjoin = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_now    timestamptz;
  v_worker uuid := worker_id;
  v_ids    uuid[];
begin
  if max_requests is null or max_requests not between 1 and 1000 then
    raise exception using errcode = 'LQ001', message = 'max_requests must be between 1 and 1000',
      detail = format('It is %s.', coalesce(max_requests::text, 'null'));
  end if;
  if v_worker is null then
    v_worker := llmq.session_worker();
  elsif not exists (select from llmq.workers as w where w.id = v_worker) then
    raise exception using errcode = 'LQ004', message = format('worker %s is not registered', v_worker),
      detail = 'It never was, or its heartbeat stopped and it was given up.', hint = 'Call llmq.register_worker() for a new id.';
  end if;

  perform llmq.promote_waiting();
  v_now := clock_timestamp();

  with lanes as materialized (
    select m.lane, m.priority, m.scan, m.served_at
    from llmq.lane_marks as m
    join llmq.models as mo on mo.lane = m.lane
    join llmq.providers as p on p.name = mo.provider
    where not mo.paused
      and not p.paused
      and p.kind <> 'external'
      and (claim_pending_llm_requests.models is null or mo.name = any (claim_pending_llm_requests.models))
      and not exists (select from llmq.model_state as s where s.lane = m.lane and s.cooling_until > v_now)
      and (
        select 1
        from llmq.queue as q
        where q.lane = m.lane and q.priority = m.priority and q.status = 'pending' and q.tag is not null
          and q.tag >= m.scan
        order by q.tag
        limit 1
      ) is not null
    order by m.priority desc, m.served_at, random()
  ),
  picked as materialized (
    select r.id
    from lanes as l
    cross join lateral (
      select q.id
      from llmq.queue as q
      where q.lane = l.lane and q.priority = l.priority and q.status = 'pending' and q.tag is not null
        and q.tag >= l.scan
        and (q.deadline is null or q.deadline > v_now)
      order by q.tag
      limit 1000
      for update skip locked
    ) as r
    limit max_requests
  ),
  claimed as (
    update llmq.queue as q
    set status = 'processing',
        worker_id = v_worker,
        claim_id = nextval('llmq.claim_ids'),
        started_at = v_now,
        updated_at = v_now
    where q.id = any (array(select k.id from picked as k))
    returning q.id, q.lane, q.priority, q.tag
  ),
  served as (
    select c.lane, c.priority, max(c.tag) as tag from claimed as c group by c.lane, c.priority
  ),
  movable as materialized (
    select m.lane, m.priority, s.tag
    from llmq.lane_marks as m
    join served as s on s.lane = m.lane and s.priority = m.priority
    where m.served_at < v_now - interval '100 milliseconds'
    for update of m skip locked
  ),
  moved as (
    update llmq.lane_marks as m
    set vt = greatest(m.vt, v.tag),
        previous = case when m.rotated_at < v_now - interval '1 second' then greatest(m.vt, v.tag) else m.previous end,
        scan = case when m.rotated_at < v_now - interval '1 second' then m.previous else m.scan end,
        rotated_at = case when m.rotated_at < v_now - interval '1 second' then v_now else m.rotated_at end,
        served_at = v_now
    from movable as v
    where m.lane = v.lane and m.priority = v.priority
  )
  select array(select c.id from claimed as c) into v_ids;

  return query
  select
    q.id, q.claim_id, q.agent_id, q.task_type, q.complexity, r.messages::jsonb, r.context::jsonb, r.response_schema::jsonb, r.tools::jsonb,
    r.settings::jsonb, q.deadline, q.created_at, q.started_at, q.attempts, q.max_attempts,
    m.name, p.name, p.kind, p.base_url, p.api_key_env, m.model_id, p.options || m.options, m.context_window,
    m.max_output_tokens
  from unnest(v_ids) as i (id)
  join llmq.queue as q on q.id = i.id
  cross join lateral (select r.* from llmq.requests as r where r.id = i.id limit 1) as r
  join llmq.models as m on m.lane = q.lane
  join llmq.providers as p on p.name = m.provider
  order by q.priority desc, q.tag;
end
$$;
comment on function llmq.claim_pending_llm_requests(int, uuid, text[]) is
$$Takes up to max_requests pending requests for a worker and marks them processing. Each row has all that a call needs (type llmq.claimed_request); hand its claim_id back with the outcome. No request is handed out twice.
max_requests: 1 to 1000; the most rows returned.
worker_id: from llmq.register_worker(); null: a worker is made for this session, which has five minutes from its last claim before its requests go to others.
models: only requests that would ask one of these models; null: any.
Errors: LQ001 max_requests, LQ004 unknown worker.$$;
