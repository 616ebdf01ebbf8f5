-- Where a request comes in, and how far its lane is. Plain SQL over one row, so that the planner puts it into
-- the statement that asks. No row: no entrance of that name.
create function llmq.entrance(kind text, name text, priority int) returns table (
  first_model text, lane int, max_attempts int, virtual_time double precision, pgmq_payload text,
  refuse_above int, own_routes text[], agents boolean
)
language sql stable
as $$
  select
    e.model, e.lane, e.max_attempts,
    (select l.vt from llmq.lane_marks as l where l.lane = e.lane and l.priority = entrance.priority),
    case when to_regclass('pgmq.q_llm_requests') is not null and to_regclass('pgmq.meta') is not null then e.pgmq_payload end,
    e.refuse_above, e.own_routes, e.agents
  from llmq.entrances as e
  where e.kind = entrance.kind and e.name = entrance.name
$$;
comment on function llmq.entrance(text, text, int) is
  'Internal: first model and lane of a new request, default of max_attempts, virtual time of its lane and priority, what of it is copied to pgmq (null: nothing), the depth above which it is refused, and where to look further: task types with routes of their own, and whether agents have weights or owners.';

-- All that the database knows about a new request. llmq.submit_llm_request() has the same lines.
create function llmq.request_facts(
  agent_id text, task_type text, complexity text, context jsonb, model text, priority int,
  out first_model text, out lane int, out weight double precision, out owner name, out max_attempts int,
  out pgmq_payload text, out refuse_above int
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_model    text := case when context ->> 'executor' = 'external' then 'external' else model end;
  v_entrance record;
begin
  select e.* into v_entrance
  from llmq.entrance(case when v_model is null then complexity else 'model' end, coalesce(v_model, '*'), priority) as e;
  if v_model is null and task_type = any (v_entrance.own_routes) then
    select e.* into v_entrance from llmq.entrance(complexity, task_type, priority) as e;
  end if;
  first_model := coalesce(v_entrance.first_model, model);
  lane := v_entrance.lane;
  max_attempts := v_entrance.max_attempts;
  pgmq_payload := v_entrance.pgmq_payload;
  refuse_above := v_entrance.refuse_above;
  select a.weight, a.owner into weight, owner from llmq.agents as a where a.agent_id = request_facts.agent_id;
  weight := coalesce(weight, 1);
end
$$;
comment on function llmq.request_facts(text, text, text, jsonb, text, int) is
  'Internal: first model and lane of a new request (null: refuse it), weight and owner of its agent, default of max_attempts, what of it is copied to pgmq (null: nothing), and the depth above which it is refused.';

create function llmq.refuse_route(
  agent_id text, task_type text, complexity text, first_model text, lane int
) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if not llmq.may_use_agent(agent_id) then
    raise exception using errcode = 'LQ005', message = format('agent %s belongs to another role', quote_literal(agent_id)),
      detail = format('The caller is %s.', llmq.caller()), hint = 'See the column owner of llmq.agents.';
  end if;
  if first_model is null then
    raise exception using errcode = 'LQ003', message = 'no route for this request',
      detail = format('complexity is %s, task_type is %s.', complexity, task_type),
      hint = 'Add one: select llmq.configure_route(''*'', array[''my-model'']). The orchestrator makes them for the API keys it finds when there are none.';
  end if;
  if lane is null then
    raise exception using errcode = 'LQ003', message = format('model %s is not configured', quote_literal(first_model)),
      detail = format('Configured: %s.', (select coalesce(string_agg(m.name, ', ' order by m.name), 'none') from llmq.models as m)),
      hint = 'Add it with llmq.configure_model().';
  end if;
end
$$;
comment on function llmq.refuse_route(text, text, text, text, int) is 'Internal: raises LQ003 (no route or model) or LQ005 (not your agent), if so.';
