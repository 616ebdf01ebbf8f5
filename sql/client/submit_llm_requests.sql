-- (nothing) -> pending, for many: each table is written by one statement. All or none.
--
-- What the database knows about a request (llmq.request_facts) is asked once for those that are alike: the
-- look-up costs a third of the call. Kept for 64 kinds at most, for looking in a long list would cost more.
create function llmq.submit_llm_requests(requests jsonb) returns setof uuid
language plpgsql volatile security definer
set plan_cache_mode = force_generic_plan
set search_path = pg_catalog, pg_temp
as $$
declare
  v_request      record;
  v_new          llmq.new_request;
  v_news         llmq.new_request[] := '{}';
  v_special      boolean := false;
  v_refuse_above int;
  v_place        int;
  v_ids          uuid[] := '{}';
  v_ok           boolean;
  v_kind         text;
  v_found        record;
  v_facts        jsonb;
  v_known        jsonb := '{}';
  v_kinds        int := 0;
  v_index        int := 0;
  v_state        text;
  v_message      text;
  v_detail       text;
  v_hint         text;
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
      v_request.complexity := coalesce(v_request.complexity, 'medium');
      v_request.context := coalesce(v_request.context, '{}');
      v_request.response_schema := nullif(v_request.response_schema, 'null');
      v_request.tools := nullif(nullif(v_request.tools, 'null'), '[]');
      v_request.settings := coalesce(v_request.settings, '{}');
      v_request.priority := coalesce(v_request.priority, 0);
      v_ok := llmq.check_request(
        v_request.agent_id, v_request.task_type, v_request.messages, v_request.complexity, v_request.context,
        v_request.response_schema, v_request.tools, v_request.settings, v_request.priority, v_request.run_at,
        v_request.deadline, v_request.max_attempts, v_request.idempotency_key, v_request.reply_to
      );
      -- Checked names have no control characters; the model, which may, comes last.
      v_kind := concat_ws(
        E'\x1f', v_request.agent_id, v_request.task_type, v_request.complexity, v_request.priority,
        coalesce(v_request.context ->> 'executor' = 'external', false), v_request.model
      );
      v_facts := v_known -> v_kind;
      if v_facts is null then
        select f.* into v_found
        from llmq.request_facts(
          v_request.agent_id, v_request.task_type, v_request.complexity, v_request.context, v_request.model,
          v_request.priority
        ) as f;
        if v_found.lane is null or v_found.owner is not null then
          perform llmq.refuse_route(
            v_request.agent_id, v_request.task_type, v_request.complexity, v_found.first_model, v_found.lane
          );
        end if;
        if v_kinds = 64 then
          v_known := '{}';
          v_kinds := 0;
        end if;
        v_facts := to_jsonb(v_found);
        v_known := v_known || jsonb_build_object(v_kind, v_facts);
        v_kinds := v_kinds + 1;
      end if;
      v_new := row(
        llmq.uuid_v7(), v_request.agent_id, v_request.task_type, v_request.complexity, v_request.messages,
        v_request.context, v_request.response_schema, v_request.tools, v_request.settings, v_request.model,
        v_request.priority, v_request.run_at, v_request.deadline,
        coalesce(v_request.max_attempts, (v_facts ->> 'max_attempts')::int), v_request.idempotency_key,
        v_request.reply_to, v_request.parent_id, (v_facts ->> 'lane')::int,
        (v_facts ->> 'weight')::double precision, v_facts ->> 'pgmq_payload'
      )::llmq.new_request;
      v_ids := v_ids || v_new.id;
      v_news := v_news || v_new;
      v_refuse_above := (v_facts ->> 'refuse_above')::int;
      v_special := v_special or num_nonnulls(v_new.idempotency_key, v_refuse_above, v_new.settings -> 'refuse_above') > 0;
      v_index := v_index + 1;
    end loop;
    if v_special then
      -- In the order of the keys: two calls with the same ones wait for each other, and never both.
      for v_place in
        select p.place from generate_subscripts(v_news, 1) as p (place)
        order by (v_news[p.place]).agent_id, (v_news[p.place]).idempotency_key, p.place
      loop
        v_index := v_place - 1;
        v_new := v_news[v_place];
        if v_new.idempotency_key is not null then
          v_ids[v_place] := coalesce(llmq.reserve_idempotency_key(v_new.agent_id, v_new.idempotency_key, v_new.id), v_new.id);
          continue when v_ids[v_place] <> v_new.id;
        end if;
        if num_nonnulls(v_refuse_above, v_new.settings -> 'refuse_above') > 0 then
          perform llmq.refuse_full_queue(v_new.lane, least(v_refuse_above, (v_new.settings ->> 'refuse_above')::int));
        end if;
      end loop;
      v_news := array(
        select v_news[p.place] from generate_subscripts(v_news, 1) as p (place)
        where (v_news[p.place]).id = v_ids[p.place]
        order by p.place
      );
    end if;
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
