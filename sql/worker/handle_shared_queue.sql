-- Loop (b): one batch of a shared queue. Reading, handler and archive share a transaction, each message a
-- subtransaction: it is handled exactly once, and one that keeps failing is set aside with its error and
-- never holds up those behind it.
--
-- A handler that hangs is ended by the caller's statement_timeout. That error is caught like any other, but
-- the timer does not start again: the rest of the batch goes back, to be read at once.
create function llmq.handle_shared_queue(queue_name text, max_messages int = 100)
returns table (message_id bigint, outcome text, error text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_queue       llmq.shared_queues;
  v_handler     regprocedure;
  v_message     record;
  v_out_of_time boolean := false;
begin
  select s.* into v_queue from llmq.shared_queues as s where s.queue_name = handle_shared_queue.queue_name and s.enabled;
  -- DROP EXTENSION pgmq leaves the queues' tables behind; pgmq.meta goes with it.
  if not found or to_regclass('pgmq.meta') is null or to_regclass(format('pgmq.%I', 'q_' || lower(queue_name))) is null then
    return;
  end if;
  -- A handler that is not there is the configuration's fault: no message may be set aside for it.
  v_handler := to_regprocedure(v_queue.handler || '(text, bigint, jsonb)');
  if v_handler is null then
    raise exception using errcode = 'LQ001',
      message = format('the handler of the shared queue %s does not exist', quote_literal(queue_name)),
      detail = format('It is %s(text, bigint, jsonb).', v_queue.handler),
      hint = 'Create it, or change llmq.shared_queues.handler. The messages stay where they are.';
  end if;
  for v_message in
    select r.msg_id, r.read_ct, coalesce(r.message, 'null') as message
    from pgmq.read(queue_name, greatest(extract(epoch from v_queue.retry_after)::int, 1), max_messages) as r
    order by r.msg_id
  loop
    if v_out_of_time then
      perform pgmq.set_vt(queue_name, v_message.msg_id, 0);
      continue;
    end if;
    message_id := v_message.msg_id;
    error := null;
    begin
      execute format('select %s($1, $2, $3)', v_handler::regproc) using queue_name, v_message.msg_id, v_message.message;
      perform pgmq.archive(queue_name, v_message.msg_id);
      -- A deferred constraint would fail at the commit, and with this message the batch. So they are tried now, and
      -- what that changed is taken back: which of them are deferred, for the handlers that follow.
      begin
        set constraints all immediate;
        raise exception using errcode = 'TRIAL';
      exception when sqlstate 'TRIAL' then
        null;
      end;
      outcome := 'handled';
    exception
      when query_canceled then
        error := sqlerrm;
        outcome := 'retried';
        v_out_of_time := true;
      when others or assert_failure then
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
$$Reads one batch of a shared queue, gives each message to the queue's handler and archives it, all in the caller's transaction. outcome: handled, retried (read again after retry_after) or set_aside (it failed max_reads times: see llmq.set_aside). No rows when the queue is not enabled or not in pgmq.
queue_name: a row of llmq.shared_queues.
max_messages: the most to read.
Errors: LQ001 the handler does not exist. Set statement_timeout in the calling transaction: a handler that hangs then counts as failed.$$;
