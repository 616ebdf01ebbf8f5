-- pending -> completed without a call: the answer is another request's.
create function llmq.finish_from(request_id uuid, source_id uuid, outcome text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform llmq.finish_requests(
    (
      select jsonb_build_array(jsonb_build_object(
        'request_id', finish_from.request_id, 'response', f.response, 'parsed_response', f.parsed_response, 'repairs', f.repairs,
        'finish_reason', f.finish_reason,
        'calls', jsonb_build_array(jsonb_build_object('outcome', outcome, 'error_message', format('the answer of %s', source_id)))
      ))
      from llmq.results as f
      where f.id = source_id
    ),
    'completed'
  );
end
$$;
comment on function llmq.finish_from(uuid, uuid, text) is 'Internal: completes a request with the answer of another; the ledger says shared or cached, and whose answer it was.';
