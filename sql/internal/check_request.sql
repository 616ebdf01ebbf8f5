-- Everything that can be wrong with a request is found here, before a row is written.
create function llmq.check_request(
  agent_id text, task_type text, messages jsonb, complexity text, context jsonb, response_schema jsonb,
  tools jsonb, settings jsonb, model text, priority int, run_at timestamptz, deadline timestamptz,
  max_attempts int, idempotency_key text, reply_to text, parent_id uuid
) returns llmq.new_request
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_new   llmq.new_request;
  v_first text;
  v_owner name;
begin
  perform llmq.check_name(agent_id, 'agent_id');
  perform llmq.check_name(task_type, 'task_type');
  if complexity is null or complexity not in ('simple', 'medium', 'complex') then
    raise exception using errcode = 'LQ001', message = 'complexity must be simple, medium or complex',
      detail = format('It is %s.', coalesce(quote_literal(complexity), 'null')),
      hint = 'Leave it out for medium.';
  end if;
  perform llmq.check_messages(messages);
  if context <> '{}' then perform llmq.check_context(context); end if;
  if response_schema is not null then perform llmq.check_response_schema(response_schema); end if;
  if tools is not null then perform llmq.check_tools(tools); end if;
  if settings <> '{}' then perform llmq.check_settings(settings); end if;
  if priority is null or priority not between -100 and 100 then
    raise exception using errcode = 'LQ001', message = 'priority must be between -100 and 100',
      detail = format('It is %s.', coalesce(priority::text, 'null')), hint = 'Higher runs first; 0 is the default.';
  end if;
  if max_attempts not between 1 and 1000 then
    raise exception using errcode = 'LQ001', message = 'max_attempts must be between 1 and 1000',
      detail = format('It is %s.', max_attempts), hint = 'Leave it out for the setting max_attempts.';
  end if;
  if deadline <= clock_timestamp() then
    raise exception using errcode = 'LQ001', message = 'deadline is in the past',
      detail = format('It is %s, now is %s.', deadline, clock_timestamp()), hint = 'Give a later deadline or none.';
  end if;
  if deadline <= run_at then
    raise exception using errcode = 'LQ001', message = 'deadline must be later than run_at',
      detail = format('run_at is %s, deadline is %s.', run_at, deadline), hint = 'The request could never run.';
  end if;
  if idempotency_key is not null then perform llmq.check_name(idempotency_key, 'idempotency_key'); end if;
  if reply_to is not null then
    perform llmq.check_reply_to(reply_to);
  end if;

  -- All that the database knows about it in one statement: five look-ups cost less than the start of a second.
  select
    coalesce(a.weight, 1), a.owner, coalesce(check_request.max_attempts, s.value::int), r.model, m.lane,
    p.kind = 'external'
  into v_new.weight, v_owner, v_new.max_attempts, v_first, v_new.lane, v_new.external
  from llmq.settings as s
  left join llmq.agents as a on a.agent_id = check_request.agent_id
  left join lateral (
    select case
      when check_request.context ->> 'executor' = 'external' then 'external'
      when check_request.model is not null then check_request.model
      else (llmq.route_models(check_request.complexity, check_request.task_type))[1]
    end as model
  ) as r on true
  left join llmq.models as m on m.name = r.model
  left join llmq.providers as p on p.name = m.provider
  where s.name = 'max_attempts';

  if v_owner is not null and not llmq.may_use_agent(agent_id) then
    raise exception using errcode = 'LQ005', message = format('agent %s belongs to another role', quote_literal(agent_id)),
      detail = format('The caller is %s.', llmq.caller()), hint = 'See the column owner of llmq.agents.';
  end if;
  if v_first is null then
    raise exception using errcode = 'LQ003', message = 'no route for this request',
      detail = format('complexity is %s, task_type is %s.', complexity, task_type),
      hint = 'Add one: select llmq.configure_route(''*'', array[''my-model'']). The orchestrator makes them for the API keys it finds when there are none.';
  end if;
  if v_new.lane is null then
    raise exception using errcode = 'LQ003', message = format('model %s is not configured', quote_literal(v_first)),
      detail = format('Configured: %s.', (select coalesce(string_agg(m.name, ', ' order by m.name), 'none') from llmq.models as m)),
      hint = 'Add it with llmq.configure_model().';
  end if;

  v_new.agent_id := agent_id;
  v_new.task_type := task_type;
  v_new.complexity := complexity;
  v_new.messages := messages;
  v_new.context := coalesce(context, '{}');
  v_new.response_schema := nullif(response_schema, 'null');
  v_new.tools := nullif(nullif(tools, '[]'), 'null');
  v_new.settings := coalesce(settings, '{}');
  v_new.model := model;
  v_new.priority := priority;
  v_new.run_at := run_at;
  v_new.deadline := deadline;
  v_new.idempotency_key := idempotency_key;
  v_new.reply_to := reply_to;
  v_new.parent_id := parent_id;
  return v_new;
end
$$;
comment on function llmq.check_request is 'Internal: checks and routes one request. Raises LQ001 (invalid), LQ003 (no route or model), LQ005 (not your agent), LQ006 (reply_to).';
