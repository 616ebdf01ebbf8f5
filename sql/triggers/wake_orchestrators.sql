-- NOTIFY takes one cluster-wide lock at commit: at most one per statement, always the same payload (equal
-- ones collapse within a transaction), and none while every orchestrator is awake.
create function llmq.wake_orchestrators() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify('llmq_wake', '');
  return null;
end
$$;
comment on function llmq.wake_orchestrators() is 'Trigger: wakes sleeping orchestrators after new requests were queued (channel llmq_wake, empty payload).';

create trigger wake_orchestrators
after insert on llmq.queue
for each statement
-- Here, not in the function: an orchestrator that is awake costs a submit no call.
when (pg_sequence_last_value('llmq.armed') = 2)
execute function llmq.wake_orchestrators();
