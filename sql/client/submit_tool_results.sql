-- The next turn: the whole conversation, the model's calls, and what the tools gave back, as a new request
-- with everything else as before. One answer per turn.
create function llmq.submit_tool_results(request_id uuid, tool_results jsonb) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_result   llmq.results;
  v_request  llmq.requests;
  v_settings jsonb;
  v_next     uuid;
begin
  select f.* into v_result from llmq.results as f where f.id = request_id;
  if not found or not llmq.may_use_agent(v_result.agent_id) then
    if exists (select from llmq.all_llm_requests as v where v.id = request_id and llmq.may_use_agent(v.agent_id)) then
      raise exception using errcode = 'LQ009', message = format('request %s is not finished', request_id),
        hint = 'Wait for its tool calls first.';
    end if;
    perform llmq.raise_not_found(request_id);
  end if;
  perform llmq.check_tool_results(v_result, tool_results);
  select r.* into v_request from llmq.requests as r where r.id = request_id;

  -- A forced tool choice was meant for the turn it was made for; kept, the model could never end.
  v_settings := v_request.settings;
  if v_settings ->> 'tool_choice' = 'required' or jsonb_typeof(v_settings -> 'tool_choice') = 'object' then
    v_settings := v_settings - 'tool_choice';
  end if;
  v_next := llmq.submit_llm_request(
    agent_id => v_result.agent_id, task_type => v_result.task_type,
    messages => v_request.messages || llmq.tool_turn(v_result, v_request.tools, tool_results),
    complexity => v_result.complexity, context => v_request.context, response_schema => v_request.response_schema,
    tools => v_request.tools, settings => v_settings, model => v_request.model, priority => v_result.priority,
    max_attempts => v_result.max_attempts, reply_to => v_request.reply_to, parent_id => request_id
  );
  insert into llmq.tool_results as t (request_id, results, next_request_id)
  values (submit_tool_results.request_id, tool_results, v_next)
  on conflict on constraint tool_results_pkey do nothing;
  if not found then
    raise exception using errcode = 'LQ009', message = format('the tool calls of request %s were already answered', request_id),
      detail = format('The next turn is request %s.', (select t.next_request_id from llmq.tool_results as t where t.request_id = submit_tool_results.request_id)),
      hint = 'Each turn takes one answer.';
  end if;
  return v_next;
end
$$;
comment on function llmq.submit_tool_results(uuid, jsonb) is
$$Answers the tool calls of a completed request and queues the next turn with the whole conversation; returns the id of that new request. It keeps agent, task type, complexity, tools, response_schema, settings (but no forced tool_choice), model, priority, max_attempts and reply_to; its parent_id is the answered request.
request_id: the request whose parsed_response has tool_calls.
tool_results: exactly one object for each call: [{"id": "call_1", "result": any JSON}]; other keys, such as is_error, are stored with them.
Errors: LQ001 wrong shape, LQ002 unknown, LQ009 not finished, no tool calls, a call without a result or with two, a result without a call, or already answered.
Example: select llmq.submit_tool_results('01890a5d-ac96-774b-bcce-b302099a8057', '[{"id": "call_1", "result": {"temperature": 21}}]');$$;
