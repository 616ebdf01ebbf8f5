-- All that the database knows about a new request, in one statement: seven look-ups cost less than the start
-- of a second. Plain SQL, so that the planner puts it into the statement that asks.
create function llmq.request_facts(
  agent_id text, task_type text, complexity text, context jsonb, model text, priority int
) returns table (
  first_model text, lane int, weight double precision, owner name, max_attempts int,
  virtual_time double precision, pgmq_payload text, refuse_above int
)
language sql stable
as $$
  select
    r.model, m.lane, coalesce(a.weight, 1), a.owner, s.max_attempts, l.vt,
    case when s.pgmq and to_regclass('pgmq.q_llm_requests') is not null and to_regclass('pgmq.meta') is not null then s.payload end,
    s.refuse_above
  from (
    select
      max(o.value #>> '{}') filter (where o.name = 'max_attempts')::int as max_attempts,
      bool_or(o.value::boolean) filter (where o.name = 'pgmq') as pgmq,
      max(o.value #>> '{}') filter (where o.name = 'pgmq_payload') as payload,
      max(o.value #>> '{}') filter (where o.name = 'refuse_above')::int as refuse_above
    from llmq.settings as o
    where o.name in ('max_attempts', 'pgmq', 'pgmq_payload', 'refuse_above')
  ) as s
  left join llmq.agents as a on a.agent_id = request_facts.agent_id
  left join lateral (
    select case
      when request_facts.context ->> 'executor' = 'external' then 'external'
      when request_facts.model is not null then request_facts.model
      else (
        select w.models[1]
        from llmq.routes as w
        where w.task_type in (request_facts.task_type, '*')
          and w.complexity in (request_facts.complexity, '*')
        order by w.task_type = '*', w.complexity = '*'
        limit 1
      )
    end as model
  ) as r on true
  left join llmq.models as m on m.name = r.model
  left join llmq.lane_marks as l on l.lane = m.lane and l.priority = request_facts.priority
$$;
comment on function llmq.request_facts(text, text, text, jsonb, text, int) is
  'Internal: first model and lane of a new request, weight and owner of its agent, default of max_attempts, virtual time of its lane and priority, what of it is copied to pgmq (null: nothing), and the depth above which it is refused.';

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
