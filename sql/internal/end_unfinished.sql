-- pending or processing -> cancelled or failed, from outside the worker that may hold it; the worker is
-- told to abort its call.
create function llmq.end_unfinished(held llmq.in_flight[], status text, error_type text, error_message text, outcome text) returns uuid[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into llmq.cancellations (worker_id, claim_id, request_id)
  select h.worker_id, h.claim_id, h.id from unnest(held) as h where h.claim_id is not null;
  if found then
    perform pg_notify('llmq_wake', '');
  end if;
  return llmq.finish_requests((
    select jsonb_agg(jsonb_build_object(
      'request_id', h.id, 'status', end_unfinished.status, 'error_type', end_unfinished.error_type,
      'error_message', end_unfinished.error_message || case when outcome = 'deadline' then coalesce('; last failure: ' || h.error_message, '') else '' end,
      'calls', case when h.claim_id is not null then jsonb_build_array(jsonb_build_object('outcome', outcome)) else '[]' end
    ))
    from unnest(held) as h
  ));
end
$$;
comment on function llmq.end_unfinished(llmq.in_flight[], text, text, text, text) is 'Internal: ends locked requests, pending (without claim_id) or processing, and aborts their calls.';
