-- ORMs insert into the view. The row becomes one submit; status and times are not theirs to set.
create function llmq.insert_llm_request() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if new.status is distinct from 'pending' and new.status is not null then
    raise exception using errcode = 'LQ001', message = 'a new request can only be pending',
      detail = format('status is %s.', quote_literal(new.status)), hint = 'Leave status out.';
  end if;
  if new.id is not null then
    raise exception using errcode = 'LQ001', message = 'id is given by llmq',
      hint = 'Leave id out and use INSERT ... RETURNING id, or give an idempotency_key to find the request again.';
  end if;
  new.id := llmq.submit_llm_request(
    agent_id => new.agent_id, task_type => new.task_type, messages => new.messages,
    complexity => coalesce(new.complexity, 'medium'), context => coalesce(new.context, '{}'),
    response_schema => new.response_schema, tools => new.tools, settings => coalesce(new.settings, '{}'),
    model => new.model, priority => coalesce(new.priority, 0::smallint), run_at => new.run_at,
    deadline => new.deadline, max_attempts => new.max_attempts, idempotency_key => new.idempotency_key,
    reply_to => new.reply_to, parent_id => new.parent_id
  );
  select v.* into new from llmq.get_llm_request(new.id) as v;
  return new;
end
$$;
comment on function llmq.insert_llm_request() is 'Trigger: INSERT into llmq.llm_requests submits a request; RETURNING gives the stored row.';

create trigger insert_llm_request
instead of insert on llmq.llm_requests
for each row execute function llmq.insert_llm_request();
