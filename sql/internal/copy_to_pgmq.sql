create function llmq.copy_to_pgmq(new_requests llmq.new_request[]) returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_full boolean;
begin
  if not llmq.pgmq_ready() then
    return null;
  end if;
  v_full := llmq.setting('pgmq_payload') = '"full"';
  return array(
    select pgmq.send_batch('llm_requests', array(
      select case when v_full then
        (
          select jsonb_object_agg(f.key, f.value) || jsonb_build_object('request_id', n.id)
          from jsonb_each(to_jsonb(n) - '{id,lane,weight,ordinality}'::text[]) as f
          where f.value <> 'null'
        )
      else
        jsonb_build_object('request_id', n.id, 'agent_id', n.agent_id, 'task_type', n.task_type, 'complexity', n.complexity)
      end
      from unnest(new_requests) with ordinality as n
      order by n.ordinality
    ))
  );
end
$$;
comment on function llmq.copy_to_pgmq(llmq.new_request[]) is 'Internal: one message per request into the pgmq queue llm_requests, in one call; the message numbers in the same order, or null without pgmq.';
