-- Rows of that week which already sit in the default partition move along: nothing is ever refused or lost
-- because a partition came late. The default partition is locked before its rows move: one that came in
-- between would refuse the new partition. Dynamic SQL, since the name is the data.
create function llmq.make_partition(parent text, partition_name text, from_id uuid, to_id uuid) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key text := case parent when 'attempts' then 'request_id' else 'id' end;
begin
  -- A submit that already chose the default partition for its row would be refused once this one is attached.
  -- So writers of the table are waited for, and then wait; for weeks to come there are none.
  if from_id <= llmq.uuid_v7_floor(clock_timestamp() + interval '1 hour') then
    execute format('lock table llmq.%I in share row exclusive mode', parent);
  end if;
  execute format('lock table llmq.%I in access exclusive mode', parent || '_default');
  execute format('create table llmq.%I (like llmq.%I including defaults including constraints including storage including compression)', partition_name, parent);
  execute format(
    'with moved as (delete from llmq.%I where %I >= %L and %I < %L returning *) insert into llmq.%I select * from moved',
    parent || '_default', v_key, from_id, v_key, to_id, partition_name
  );
  execute format('alter table llmq.%I attach partition llmq.%I for values from (%L) to (%L)', parent, partition_name, from_id, to_id);
end
$$;
comment on function llmq.make_partition(text, text, uuid, uuid) is 'Internal: one weekly partition, with the rows of its week that were in the default partition.';
