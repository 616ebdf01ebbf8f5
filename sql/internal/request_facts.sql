-- All that the database knows about a new request, in one statement: three look-ups cost less than the start
-- of a second. Plain SQL, so that the planner puts it into the statement that asks. No row: no entrance.
create function llmq.request_facts(
  agent_id text, task_type text, complexity text, context jsonb, model text, priority int
) returns table (
  first_model text, lane int, weight double precision, owner name, max_attempts int,
  virtual_time double precision, pgmq_payload text, refuse_above int
)
language sql stable
as $$
  select
    e.model, e.lane, coalesce(a.weight, 1), a.owner, e.max_attempts, l.vt,
    case when to_regclass('pgmq.q_llm_requests') is not null and to_regclass('pgmq.meta') is not null then e.pgmq_payload end,
    e.refuse_above
  from (
    select w.*
    from (select case when request_facts.context ->> 'executor' = 'external' then 'external' else request_facts.model end as model) as asked
    join llmq.entrances as w
      on w.kind = case when asked.model is null then request_facts.complexity else 'model' end
      and w.name in (coalesce(asked.model, request_facts.task_type), coalesce(asked.model, '*'))
    order by w.name = '*'
    limit 1
  ) as e
  left join llmq.agents as a on a.agent_id = request_facts.agent_id
  left join llmq.lane_marks as l on l.lane = e.lane and l.priority = request_facts.priority
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
