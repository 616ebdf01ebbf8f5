-- A checked and routed request as a value, for those who handle many or have one already: bulk submits and
-- retries.
create function llmq.new_request(
  agent_id text, task_type text, messages jsonb, complexity text, context jsonb, response_schema jsonb,
  tools jsonb, settings jsonb, model text, priority int, run_at timestamptz, deadline timestamptz,
  max_attempts int, idempotency_key text, reply_to text, parent_id uuid
) returns llmq.new_request
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_ok    boolean := llmq.check_request(
    agent_id, task_type, messages, complexity, context, response_schema, tools, settings, priority, run_at,
    deadline, max_attempts, idempotency_key, reply_to
  );
  v_facts record;
begin
  select f.* into v_facts from llmq.request_facts(agent_id, task_type, complexity, context, model, priority) as f;
  if v_facts.lane is null or v_facts.owner is not null then
    perform llmq.refuse_route(agent_id, task_type, complexity, v_facts.first_model, v_facts.lane);
  end if;
  return row(
    null, agent_id, task_type, complexity, messages, coalesce(context, '{}'), nullif(response_schema, 'null'),
    nullif(nullif(tools, '[]'), 'null'), coalesce(settings, '{}'), model, priority, run_at, deadline,
    coalesce(max_attempts, v_facts.max_attempts), idempotency_key, reply_to, parent_id, v_facts.lane,
    v_facts.weight, v_facts.pgmq_payload
  )::llmq.new_request;
end
$$;
comment on function llmq.new_request is 'Internal: checks and routes one request. Errors: those of llmq.check_request and llmq.refuse_route.';
