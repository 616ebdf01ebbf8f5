-- Everything that can be wrong with a request in itself is found here, before a row is written.
--
-- One expression recognises a good request without options; what it does not take is looked at condition by
-- condition. For speed: PL/pgSQL prepares every expression anew in every transaction, some 2 microseconds each,
-- and a submit is usually a transaction of its own. It is inlined where it is asked: a call costs 10 more.
create function llmq.is_usual_request(
  agent_id text, task_type text, messages jsonb, complexity text, context jsonb, response_schema jsonb,
  tools jsonb, settings jsonb, priority int, run_at timestamptz, deadline timestamptz, max_attempts int,
  idempotency_key text, reply_to text
) returns boolean
language sql immutable parallel safe
as $$
  select (
    length(agent_id) <= 200 and agent_id ~ '^ *[^\u0001-\u0020\u007f-\u009f][^\u0001-\u001f\u007f-\u009f]*$'
    and length(task_type) <= 200 and task_type ~ '^ *[^\u0001-\u0020\u007f-\u009f][^\u0001-\u001f\u007f-\u009f]*$'
    and complexity in ('simple', 'medium', 'complex')
    and priority between -100 and 100
    and num_nulls(max_attempts, deadline, run_at, idempotency_key, reply_to, response_schema, tools) = 7
    and context = '{}' and settings = '{}'
    and llmq.is_plain_conversation(messages)
  ) is true
$$;
comment on function llmq.is_usual_request is 'Internal: whether a request is good and has no options but its complexity and priority. A no says nothing.';

create function llmq.check_request(
  agent_id text, task_type text, messages jsonb, complexity text, context jsonb, response_schema jsonb,
  tools jsonb, settings jsonb, priority int, run_at timestamptz, deadline timestamptz, max_attempts int,
  idempotency_key text, reply_to text
) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if llmq.is_usual_request(
    agent_id, task_type, messages, complexity, context, response_schema, tools, settings, priority, run_at,
    deadline, max_attempts, idempotency_key, reply_to
  ) then
    return true;
  end if;

  perform llmq.check_name(agent_id, 'agent_id');
  perform llmq.check_name(task_type, 'task_type');
  if complexity is null or complexity not in ('simple', 'medium', 'complex') then
    raise exception using errcode = 'LQ001', message = 'complexity must be simple, medium or complex',
      detail = format('It is %s.', coalesce(quote_literal(complexity), 'null')),
      hint = 'Leave it out for medium.';
  end if;
  perform llmq.check_messages(messages);
  perform llmq.check_context(context);
  perform llmq.check_response_schema(response_schema);
  perform llmq.check_tools(tools);
  perform llmq.check_settings(settings);
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
  if reply_to is not null then perform llmq.check_reply_to(reply_to); end if;
  return true;
end
$$;
comment on function llmq.check_request is 'Internal: checks one request; true, or LQ001 (invalid), LQ006 (reply_to).';
