-- reply_to, in the transaction that finishes the request. A queue that is gone meanwhile must not keep the
-- request from finishing: the answer is stored anyway, and the reply is set aside with its error.
create function llmq.send_replies(request_ids uuid[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_reply record;
begin
  for v_reply in
    select r.reply_to, jsonb_build_object(
      'request_id', f.id, 'agent_id', f.agent_id, 'task_type', f.task_type, 'status', f.status,
      'response', f.response, 'parsed_response', f.parsed_response, 'validation_errors', f.validation_errors,
      'error_type', f.error_type, 'error_message', f.error_message, 'model', f.model, 'finished_at', f.finished_at
    ) as message
    from unnest(request_ids) as i (id)
    cross join lateral (select f.* from llmq.results as f where f.id = i.id limit 1) as f
    cross join lateral (select r.reply_to from llmq.requests as r where r.id = i.id limit 1) as r
  loop
    begin
      perform pgmq.send(v_reply.reply_to, v_reply.message);
    exception when others then
      insert into llmq.set_aside (queue_name, message, error)
      values (v_reply.reply_to, v_reply.message, sqlerrm);
    end;
  end loop;
end
$$;
comment on function llmq.send_replies(uuid[]) is 'Internal: sends results to the pgmq queues that their requests named.';
