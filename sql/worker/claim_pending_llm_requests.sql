-- THE CLAIM. pending (ready) -> processing, for up to max_requests rows; never one row twice, never more
-- than asked, never over a limit.
--
-- 1. Rows that have become due are ranked (llmq.promote_waiting).
-- 2. Which lanes can run now? A few rows of llmq.lane_marks: not paused, not cooling down, and with a ready
--    row at or above the mark (one index probe each). A lane in trouble costs this probe and nothing more.
-- 3. Lane by lane, the highest priority first, then who waited longest, until there are enough:
--    a. A limited lane is opened (llmq.open_lane): its room, under the locks of its limits. One that another
--       claim has open is passed over.
--    b. It is scanned from its mark in the order of the tags. The limit that varies is outside: a generic plan takes
--       one of unknown size for a tenth of the table. Rows are locked as they are taken, no more. The CTE is
--       materialized: it is the fence that keeps the plan from running the locking scan twice.
--    c. Where agents are limited, tokens counted or answers shared, each row is looked at
--       (llmq.admit_requests). What its agent may not start now leaves the lane, so that no claim meets it again.
--    d. The rows move to llmq.in_flight, by id array: joined with the CTE, a table analyzed while nearly empty is
--       read by its whole primary key (39,000 buffers). The mark moves, at most every 100 ms, unless another claim
--       holds it.
--    e. What was taken from limits and budgets is noted down.
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
  v_now       timestamptz;
  v_worker    uuid := worker_id;
  v_any_agent boolean;
  v_any_route boolean;
  v_any_twin  boolean;
  v_lane      record;
  v_room      llmq.lane_room;
  v_want      bigint;
  v_found     record;
  v_admit     record;
  v_looked    boolean;
  v_ids       uuid[] := '{}';
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
  v_any_agent := exists (
    select from llmq.agents as a
    where a.paused or a.max_concurrency is not null or a.daily_budget_usd is not null or a.monthly_budget_usd is not null
  );
  v_any_route := exists (select from llmq.routes as r where r.paused);
  v_any_twin := exists (select from llmq.twins);

  for v_lane in
    select
      m.lane, m.priority, m.scan, mo.name, mo.provider, p.kind, p.base_url, p.api_key_env, mo.model_id,
      p.options || mo.options as options, mo.context_window, mo.max_output_tokens,
      l.calls_limited is not null as limited, coalesce(l.calls_limited, false) as calls_limited
    from llmq.lane_marks as m
    join llmq.models as mo on mo.lane = m.lane
    join llmq.providers as p on p.name = mo.provider
    left join lateral (
      select bool_or(t.max_concurrency is not null) as calls_limited from llmq.lane_meters as t where t.lane = m.lane
    ) as l on true
    where not mo.paused
      and not p.paused
      and p.kind <> 'external'
      and (claim_pending_llm_requests.models is null or mo.name = any (claim_pending_llm_requests.models))
      and not exists (select from llmq.model_state as s where s.lane = m.lane and s.cooling_until > clock_timestamp())
      and (
        select 1
        from llmq.queue as q
        where q.lane = m.lane and q.priority = m.priority and q.tag is not null
          and q.tag >= m.scan
        order by q.tag
        limit 1
      ) is not null
    order by m.priority desc, m.served_at, random()
  loop
    v_room := null;
    if v_lane.limited then
      v_room := llmq.open_lane(v_lane.lane);
      continue when v_room is null;
    end if;
    v_now := coalesce(v_room.at, clock_timestamp());

    -- A second round and more only where the rows met so far were held: a limited agent's backlog, in larger bites.
    for v_round in 1..10 loop
      v_want := least(max_requests - cardinality(v_ids), v_room.requests);
      exit when v_want <= 0;
      with picked as materialized (
        select r.id, r.tag, r.agent_id
        from (
          select q.id, q.tag, q.agent_id
          from llmq.queue as q
          where q.lane = v_lane.lane and q.priority = v_lane.priority and q.tag is not null
            and q.tag >= v_lane.scan
            and (q.deadline is null or q.deadline > v_now)
          order by q.tag
          limit 1000
          for update skip locked
        ) as r
        limit case when v_round = 1 then v_want else greatest(v_want, 200) end
      )
      select
        array_agg(k.id) as ids,
        bool_or(v_any_twin and exists (select from llmq.twins as t where t.request_id = k.id)) as shared,
        bool_or(v_any_agent and exists (
          select from llmq.agents as a
          where a.agent_id = k.agent_id
            and (a.paused or a.max_concurrency is not null or a.daily_budget_usd is not null or a.monthly_budget_usd is not null)
        )) as limited
      into v_found
      from picked as k;
      exit when v_found.ids is null;

      v_looked := v_any_route or v_found.limited or v_found.shared
        or num_nonnulls(v_room.input_tokens, v_room.output_tokens, v_room.tokens) > 0;
      if v_looked then
        select a.* into v_admit from llmq.admit_requests(v_found.ids, v_lane.lane, v_room, v_want) as a;
      else
        select v_found.ids as ids, 0 as handled, null::int[] as input_tokens, null::int[] as output_tokens, null::numeric[] as usd, null::uuid[] as limited, null::jsonb as agents
        into v_admit;
      end if;

      return query
      with claimed as (
        delete from llmq.queue as q
        where q.id = any (v_admit.ids)
        returning q.*, nextval('llmq.claim_ids') as claim_id
      ),
      moved as (
        insert into llmq.in_flight (
          id, worker_id, claim_id, started_at, run_at, deadline, created_at, pgmq_msg_id, reserved_usd, reserved_input,
          reserved_output, lane, calls, capacity_waits, priority, max_attempts, attempts, reasks, crashes, route_step,
          pinned, has_reply_to, agent_id, task_type, complexity, error_type, error_message
        )
        select
          c.id, v_worker, c.claim_id, v_now, c.run_at, c.deadline, c.created_at, c.pgmq_msg_id,
          case when v_looked then v_admit.usd[array_position(v_admit.ids, c.id)] end,
          case when v_looked then v_admit.input_tokens[array_position(v_admit.ids, c.id)] when v_lane.limited then 0 end,
          case when v_looked then v_admit.output_tokens[array_position(v_admit.ids, c.id)] when v_lane.limited then 0 end,
          c.lane, c.calls, c.capacity_waits, c.priority, c.max_attempts, c.attempts, c.reasks, c.crashes, c.route_step,
          c.pinned, c.has_reply_to, c.agent_id, c.task_type, c.complexity, c.error_type, c.error_message
        from claimed as c
      ),
      movable as materialized (
        select m.lane, m.priority, greatest(m.vt, (select max(c.tag) from claimed as c)) as vt
        from llmq.lane_marks as m
        where m.lane = v_lane.lane and m.priority = v_lane.priority and m.served_at < v_now - interval '100 milliseconds'
        for update of m skip locked
      ),
      marked as (
        update llmq.lane_marks as m
        set vt = v.vt,
            previous = case when m.rotated_at < v_now - interval '1 second' then v.vt else m.previous end,
            scan = case when m.rotated_at < v_now - interval '1 second' then m.previous else m.scan end,
            rotated_at = case when m.rotated_at < v_now - interval '1 second' then v_now else m.rotated_at end,
            served_at = v_now
        from movable as v
        where m.lane = v.lane and m.priority = v.priority
      )
      select
        c.id, c.claim_id, c.agent_id, c.task_type, c.complexity::text, r.messages::jsonb, r.context::jsonb,
        r.response_schema::jsonb, r.tools::jsonb, r.settings::jsonb, c.deadline, c.created_at, v_now, c.attempts,
        c.max_attempts::smallint, v_lane.name, v_lane.provider, v_lane.kind, v_lane.base_url, v_lane.api_key_env, v_lane.model_id,
        v_lane.options, v_lane.context_window, v_lane.max_output_tokens,
        v_lane.calls_limited or coalesce(c.id = any (v_admit.limited), false)
      -- Put in order before the prompts come along.
      from (select d.* from claimed as d order by d.tag) as c
      cross join lateral (select r.* from llmq.requests as r where r.id = c.id limit 1) as r
      order by c.tag;

      if v_admit.ids <> '{}' then
        v_ids := v_ids || v_admit.ids;
        if v_lane.limited then
          v_room := llmq.note_start(v_room, cardinality(v_admit.ids), v_admit.input_tokens, v_admit.output_tokens);
        end if;
        if v_looked then
          perform llmq.note_agents(v_admit.ids, v_admit.limited, v_admit.agents);
        end if;
      end if;
      exit when v_admit.handled = 0;
    end loop;
    exit when cardinality(v_ids) >= max_requests;
  end loop;
end
$$;
comment on function llmq.claim_pending_llm_requests(int, uuid, text[]) is
$$Takes up to max_requests pending requests for a worker and marks them processing. Each row has all that a call needs (type llmq.claimed_request); hand its claim_id back with the outcome. No request is handed out twice.
max_requests: 1 to 1000; the most rows returned.
worker_id: from llmq.register_worker(); null: a worker is made for this session, which has five minutes from its last claim before its requests go to others.
models: only requests that would ask one of these models; null: any.
Errors: LQ001 max_requests, LQ004 unknown worker.$$;
