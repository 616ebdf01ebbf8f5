-- NOTIFY takes one cluster-wide lock at commit: at most one per statement, always the same payload (equal
-- ones collapse within a transaction), and none while every orchestrator is awake.
--
-- Called by whoever puts requests into llmq.queue. Not a trigger of that table: the condition of one is parsed
-- anew by every statement, which costs a submit 4 microseconds.
create function llmq.wake_orchestrators() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if pg_sequence_last_value('llmq.armed') = 2 then
    perform pg_notify('llmq_wake', '');
  end if;
end
$$;
comment on function llmq.wake_orchestrators() is 'Internal: wakes sleeping orchestrators, after new requests were queued (channel llmq_wake, empty payload).';
