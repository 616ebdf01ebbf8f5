-- Requests that may share a call or an answer, as they are queued. llmq.submit_llm_request() has the same lines for one.
create function llmq.note_twins(new_requests llmq.new_request[]) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  insert into llmq.twins (request_id, share_key, shares)
  select n.id, llmq.share_key(n.messages, n.response_schema, n.tools, n.settings), n.settings @> '{"share": true}'
  from unnest(new_requests) as n
  where n.settings ?| '{share,cache_seconds}'
$$;
comment on function llmq.note_twins(llmq.new_request[]) is 'Internal: a row of llmq.twins for each request with settings.share or cache_seconds.';
