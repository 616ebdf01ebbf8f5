-- (nothing) -> pending. Stores checked requests, any number in one statement each: the prompts, the pgmq
-- copy, the queue rows. Ids are made here, in the order of the array.
--
-- The copy is made before the queue row, not by a trigger after it: the row then carries the message's
-- number from the start and the finishing transaction can archive it without a second version of the row.
create function llmq.enqueue(new_requests llmq.new_request[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now     timestamptz := clock_timestamp();
  v_msg_ids bigint[];
  v_tags    jsonb := '{}';
  v_groups  int;
  v_group   record;
begin
  insert into llmq.requests (
    id, messages, context, response_schema, tools, settings, model, idempotency_key, reply_to, parent_id
  )
  select
    n.id, n.messages, n.context, n.response_schema, n.tools, n.settings, n.model, n.idempotency_key, n.reply_to, n.parent_id
  from unnest(new_requests) as n;

  v_msg_ids := llmq.copy_to_pgmq(new_requests);

  -- The lock table is finite: a call with many agents leaves its rows to promotion.
  select count(*) into v_groups
  from (select distinct n.lane, n.priority, n.agent_id from unnest(new_requests) as n) as g;
  if v_groups <= 16 then
    for v_group in
      select distinct n.lane, n.priority, n.agent_id from unnest(new_requests) as n
      order by n.lane, n.priority, n.agent_id
    loop
      v_tags := v_tags || jsonb_build_object(
        format('%s/%s/%s', v_group.lane, v_group.priority, v_group.agent_id),
        llmq.next_tag(v_group.lane, v_group.priority, v_group.agent_id)
      );
    end loop;
  end if;
  insert into llmq.queue (
    id, lane, priority, tag, run_at, deadline, created_at, pgmq_msg_id, max_attempts, pinned, has_reply_to,
    agent_id, task_type, complexity
  )
  select
    n.id, n.lane, n.priority,
    case when n.run_at is null or n.run_at <= v_now then
      (v_tags ->> format('%s/%s/%s', n.lane, n.priority, n.agent_id))::double precision
      + row_number() over (partition by n.lane, n.priority, n.agent_id, coalesce(n.run_at <= v_now, true) order by n.ordinality) / n.weight
    end,
    greatest(n.run_at, v_now), n.deadline, now(), v_msg_ids[n.ordinality], n.max_attempts, n.model is not null or coalesce(n.context ->> 'executor' = 'external', false),
    n.reply_to is not null, n.agent_id, n.task_type, n.complexity
  from unnest(new_requests) with ordinality as n;
  perform llmq.note_twins(new_requests);
  perform llmq.wake_orchestrators();
end
$$;
comment on function llmq.enqueue(llmq.new_request[]) is 'Internal: stores checked requests as pending.';
