-- Loop (b): one batch of a shared queue. Handler and archive share a transaction, each message a
-- subtransaction: it is handled exactly once, and one that keeps failing is set aside with its error and
-- never holds up those behind it.
create function llmq.handle_shared_queue(queue_name text, max_messages int = 100)
returns table (message_id bigint, outcome text, error text)
language plpgsql volatile security definer
set search_path = ''
as $$
#variable_conflict use_variable
declare
  v_queue   llmq.shared_queues;
  v_message record;
begin
  select s.* into v_queue from llmq.shared_queues as s where s.queue_name = handle_shared_queue.queue_name and s.enabled;
  if not found or to_regclass(format('pgmq.%I', 'q_' || queue_name)) is null then
    return;
  end if;
  for v_message in
    select r.msg_id, r.read_ct, r.message
    from pgmq.read(queue_name, greatest(extract(epoch from v_queue.retry_after)::int, 1), max_messages) as r
    order by r.msg_id
  loop
    message_id := v_message.msg_id;
    error := null;
    begin
      execute format('select %s($1, $2, $3)', v_queue.handler::regproc) using queue_name, v_message.msg_id, v_message.message;
      perform pgmq.archive(queue_name, v_message.msg_id);
      outcome := 'handled';
    exception when others then
      error := sqlerrm;
      outcome := 'retried';
    end;
    if error is not null and v_message.read_ct >= v_queue.max_reads then
      insert into llmq.set_aside (queue_name, message_id, message, error)
      values (handle_shared_queue.queue_name, v_message.msg_id, v_message.message, error);
      perform pgmq.archive(queue_name, v_message.msg_id);
      outcome := 'set_aside';
    end if;
    return next;
  end loop;
end
$$;
comment on function llmq.handle_shared_queue(text, int) is
  'Gives up to max_messages messages of a shared queue to its handler and archives them; outcome: handled, retried (after retry_after) or set_aside.';
