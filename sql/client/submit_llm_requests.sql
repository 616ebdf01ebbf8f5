-- (nothing) -> pending, for many: each table is written by one statement. All or none.
create function llmq.submit_llm_requests(requests jsonb) returns setof uuid
language plpgsql volatile security definer
set plan_cache_mode = force_generic_plan
set search_path = pg_catalog, pg_temp
as $$
declare
  v_request  record;
  v_new      llmq.new_request;
  v_news     llmq.new_request[] := '{}';
  v_ids      uuid[] := '{}';
  v_existing uuid;
  v_index    int := 0;
  v_state    text;
  v_message  text;
  v_detail   text;
  v_hint     text;
begin
  perform llmq.check_request_list(requests);
  begin
    for v_request in
      select r.*
      from rows from (jsonb_to_recordset(requests) as (
        agent_id text, task_type text, messages jsonb, complexity text, context jsonb, response_schema jsonb,
        tools jsonb, settings jsonb, model text, priority int, run_at timestamptz, deadline timestamptz,
        max_attempts int, idempotency_key text, reply_to text, parent_id uuid
      )) as r
    loop
      v_new := llmq.new_request(
        v_request.agent_id, v_request.task_type, v_request.messages, coalesce(v_request.complexity, 'medium'),
        coalesce(v_request.context, '{}'), nullif(v_request.response_schema, 'null'), nullif(v_request.tools, 'null'),
        coalesce(v_request.settings, '{}'), v_request.model, coalesce(v_request.priority, 0), v_request.run_at,
        v_request.deadline, v_request.max_attempts, v_request.idempotency_key, v_request.reply_to, v_request.parent_id
      );
      v_new.id := llmq.uuid_v7();
      v_existing := null;
      if v_new.idempotency_key is not null then
        v_existing := llmq.reserve_idempotency_key(v_new.agent_id, v_new.idempotency_key, v_new.id);
      end if;
      v_ids := v_ids || coalesce(v_existing, v_new.id);
      if v_existing is null then
        v_news := v_news || v_new;
      end if;
      v_index := v_index + 1;
    end loop;
  exception when others then
    get stacked diagnostics v_state = returned_sqlstate, v_message = message_text, v_detail = pg_exception_detail,
      v_hint = pg_exception_hint;
    -- A value of the wrong type (a date that is none) is the caller's input too.
    if v_state like '22%' then
      v_index := coalesce(llmq.first_unreadable(requests), v_index);
    end if;
    raise exception using errcode = case when v_state like '22%' then 'LQ001' else v_state end,
      message = format('requests[%s]: %s', v_index, v_message), detail = v_detail,
      hint = coalesce(nullif(v_hint, ''), 'Nothing was stored.');
  end;
  if v_news <> '{}' then
    perform llmq.enqueue(v_news);
  end if;
  return query select u.id from unnest(v_ids) with ordinality as u (id, place) order by u.place;
end
$$;
comment on function llmq.submit_llm_requests(jsonb) is
$$Queues many requests in one call and returns their ids in the order of the array. All or none.
requests: array of at most 10,000 objects whose keys are the parameters of llmq.submit_llm_request; a key left out has that parameter's default, an unknown key is refused.
Errors: those of llmq.submit_llm_request, with the place in front of the message: requests[17]: messages[0]....
Example: select * from llmq.submit_llm_requests('[{"agent_id": "support", "task_type": "summary", "messages": [{"role": "user", "content": "Hello"}]}]');$$;
