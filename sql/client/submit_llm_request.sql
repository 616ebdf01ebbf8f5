-- (nothing) -> pending, in the caller's transaction. llmq.enqueue() does the same for many; most submits come
-- one by one, and without arrays and nested calls this path costs half of that one.
create function llmq.submit_llm_request(
  agent_id        text,
  task_type       text,
  messages        jsonb,
  complexity      text = 'medium',
  context         jsonb = '{}',
  response_schema jsonb = null,
  tools           jsonb = null,
  settings        jsonb = '{}',
  model           text = null,
  priority        int = 0,
  run_at          timestamptz = null,
  deadline        timestamptz = null,
  max_attempts    int = null,
  idempotency_key text = null,
  reply_to        text = null,
  parent_id       uuid = null
) returns uuid
language plpgsql volatile security definer
-- The probe's plan is made when the queue is empty, as a queue mostly is, and kept when it is not: sorting the
-- entries of all agents looks cheap then.
set enable_seqscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_id           uuid;
  v_now          timestamptz;
  v_special      boolean;
  v_asked        text;
  v_first_model  text;
  v_lane         int;
  v_ranking_key  bigint;
  v_max_attempts int;
  v_virtual_time double precision;
  v_pgmq_payload text;
  v_refuse_above int;
  v_own_routes   text[];
  v_agents       boolean;
  v_weight       double precision;
  v_owner        name;
  v_ranked       boolean;
  v_existing     uuid;
  v_msg_id       bigint;
begin
  -- Few expressions: PL/pgSQL prepares each anew in every transaction, 1 to 3 microseconds.
  if not llmq.is_usual_request(
    agent_id, task_type, messages, complexity, context, response_schema, tools, settings, priority, run_at,
    deadline, max_attempts, idempotency_key, reply_to
  ) then
    perform llmq.check_request(
      agent_id, task_type, messages, complexity, context, response_schema, tools, settings, priority, run_at,
      deadline, max_attempts, idempotency_key, reply_to
    );
    v_special := true;
    context := coalesce(context, '{}');
    response_schema := nullif(response_schema, 'null');
    tools := nullif(nullif(tools, '[]'), 'null');
    settings := coalesce(settings, '{}');
    v_asked := case when context ->> 'executor' = 'external' then 'external' end;
  end if;
  select
    llmq.uuid_v7(), clock_timestamp(), e.first_model, e.lane, llmq.ranking_key(e.lane, priority, agent_id),
    e.max_attempts, e.virtual_time, e.pgmq_payload, e.refuse_above, e.own_routes, e.agents
  into
    v_id, v_now, v_first_model, v_lane, v_ranking_key, v_max_attempts, v_virtual_time, v_pgmq_payload, v_refuse_above,
    v_own_routes, v_agents
  from llmq.entrance(
    case when coalesce(v_asked, model) is null then complexity else 'model' end, coalesce(v_asked, model, '*'), priority
  ) as e;
  if v_special or v_lane is null or v_agents or num_nonnulls(v_own_routes, v_refuse_above) > 0 then
    if coalesce(v_asked, model) is null and task_type = any (v_own_routes) then
      select e.first_model, e.lane, llmq.ranking_key(e.lane, priority, agent_id), e.virtual_time
      into v_first_model, v_lane, v_ranking_key, v_virtual_time
      from llmq.entrance(complexity, task_type, priority) as e;
    end if;
    if v_agents then
      select a.weight, a.owner into v_weight, v_owner from llmq.agents as a where a.agent_id = submit_llm_request.agent_id;
    end if;
    if v_lane is null or v_owner is not null then
      perform llmq.refuse_route(agent_id, task_type, complexity, coalesce(v_first_model, model), v_lane);
    end if;
    if idempotency_key is not null then
      v_existing := llmq.reserve_idempotency_key(agent_id, idempotency_key, v_id);
      if v_existing is not null then
        return v_existing;
      end if;
    end if;
    if num_nonnulls(v_refuse_above, settings -> 'refuse_above') > 0 then
      perform llmq.refuse_full_queue(v_lane, least(v_refuse_above, (settings ->> 'refuse_above')::int));
    end if;
    if settings ?| '{share,cache_seconds}' then
      insert into llmq.twins (request_id, share_key, shares)
      values (v_id, llmq.share_key(messages, response_schema, tools, settings), settings @> '{"share": true}');
    end if;
  end if;

  insert into llmq.requests (
    id, messages, context, response_schema, tools, settings, model, idempotency_key, reply_to, parent_id
  ) values (
    v_id, messages, context, response_schema, tools, settings, model, idempotency_key, reply_to, parent_id
  );
  if v_pgmq_payload = 'reference' then
    insert into pgmq.q_llm_requests (vt, message)
    values (v_now, llmq.pgmq_reference(v_id, agent_id, task_type, complexity, v_asked is not null))
    returning msg_id into v_msg_id;
  elsif v_pgmq_payload = 'full' then
    insert into pgmq.q_llm_requests (vt, message)
    values (v_now, llmq.pgmq_message(row(
      v_id, agent_id, task_type, complexity, messages, context, response_schema, tools, settings, model, priority,
      run_at, deadline, coalesce(max_attempts, v_max_attempts), idempotency_key, reply_to, parent_id, v_lane,
      v_weight, v_pgmq_payload
    )::llmq.new_request))
    returning msg_id into v_msg_id;
  end if;
  -- The rank, by the rule of llmq.next_tag(): the lock comes in a statement before the probe.
  v_ranked := (run_at is null or run_at <= v_now) and v_virtual_time is not null
    and pg_try_advisory_xact_lock(v_ranking_key);
  insert into llmq.queue (
    id, lane, priority, tag, run_at, deadline, created_at, updated_at, pgmq_msg_id, max_attempts, pinned, has_reply_to,
    agent_id, task_type, complexity
  ) values (
    v_id, v_lane, priority,
    case when v_ranked then
      greatest(v_virtual_time, (
        select q.tag
        from llmq.queue as q
        where llmq.ranking_key(q.lane, q.priority, q.agent_id) = v_ranking_key
          and q.tag is not null and q.tag >= v_virtual_time
        order by q.tag desc
        limit 1
      )) + 1 / coalesce(v_weight, 1)
    end,
    greatest(run_at, v_now), deadline, now(), v_now, v_msg_id, coalesce(max_attempts, v_max_attempts),
    coalesce(v_asked, model) is not null, reply_to is not null, agent_id, task_type, complexity
  );
  -- As llmq.wake_orchestrators(), without the call.
  if pg_sequence_last_value('llmq.armed') = 2 then
    perform pg_notify('llmq_wake', '');
  end if;
  return v_id;
end
$$;
comment on function llmq.submit_llm_request is
$$Queues one LLM request in the caller's transaction and returns its id. The request exists exactly when that transaction commits.
agent_id: on whose behalf, 1 to 200 characters. Results are announced per agent (llmq.result_channel), and agents share a model fairly.
task_type: what kind of work, 1 to 200 characters; routes may depend on it.
messages: the conversation in OpenAI's chat format, 1 to 10,000 messages: [{"role": "user", "content": "..."}]. Roles system, developer, user, assistant, tool; parts text, image_url, file, input_audio.
complexity: simple, medium or complex; with task_type it chooses the route (llmq.routes).
context: an object of the caller's own, never sent to the model. {"executor": "external"}: somebody else's worker answers, through pgmq.
response_schema: JSON Schema (draft 2020-12, or 07 when $schema says so) that the answer must satisfy; at most 256 kB, $ref only inside itself.
tools: tools the model may call, at most 128: [{"type": "function", "function": {"name", "description", "parameters"}}].
settings: an object with any of temperature (0 to 2), max_tokens, top_p, top_k, seed, stop, presence_penalty, frequency_penalty, tool_choice, reasoning_effort (none to xhigh), validation_retries (0 to 10), timeout (seconds for one call), provider_options ({"openai": {...}}). For llmq alone: share (true: an identical request in flight may answer this one too), cache_seconds (an identical request answered within so many seconds may), refuse_above (LQ010 when so many requests wait for its model).
model: asks this row of llmq.models and no other; null: routed, with fall-back along the route.
priority: -100 to 100, higher first.
run_at: not before this; null: at once.
deadline: fails with deadline_exceeded when not finished by then, queued or running.
max_attempts: failures after which it fails, 1 to 1000; null: the setting max_attempts.
idempotency_key: the same key of the same agent returns the first request's id and stores nothing, until that request's retention ends.
reply_to: an existing pgmq queue that gets {"request_id", "agent_id", "task_type", "status", "response", "parsed_response", "validation_errors", "error_type", "error_message", "model", "finished_at"} in the transaction that finishes the request.
parent_id: a request this one belongs to; kept as given, not checked.
Errors: LQ001 invalid input, LQ003 no route or unknown model, LQ005 not your agent, LQ006 reply_to is no pgmq queue, LQ010 too many requests are waiting. Nothing is stored on an error.
Example: select llmq.submit_llm_request(agent_id => 'support', task_type => 'summary', messages => '[{"role": "user", "content": "Hello"}]');$$;
