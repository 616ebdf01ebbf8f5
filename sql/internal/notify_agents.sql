-- One notification per agent and 200 requests (a payload ends at 8000 bytes), not one per request.
create function llmq.notify_agents(request_ids uuid[], agent_ids text[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify(llmq.result_channel(b.agent_id), string_agg(b.id::text, ','))
  from (
    select u.id, u.agent_id, row_number() over (partition by u.agent_id) / 200 as part
    from unnest(request_ids, agent_ids) as u (id, agent_id)
  ) as b
  group by b.agent_id, b.part;
end
$$;
comment on function llmq.notify_agents(uuid[], text[]) is 'Internal: tells agents that requests of theirs are finished (llmq.result_channel).';
