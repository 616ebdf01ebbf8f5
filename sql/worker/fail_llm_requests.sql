-- processing -> pending or failed, a whole batch in one call.
create function llmq.fail_llm_requests(failures jsonb)
returns table (request_id uuid, applied boolean, status text, run_at timestamptz)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
#variable_conflict use_column
begin
  perform llmq.check_failure_list(failures);
  return query
  with done as materialized (select d.* from llmq.fail_requests(failures) as d)
  select f.request_id, d.request_id is not null, d.status, d.run_at
  from llmq.newest_claims(failures) as f
  left join done as d on d.request_id = f.request_id and f.newest
  order by f.place;
end
$$;
comment on function llmq.fail_llm_requests(jsonb) is
$$Reports a batch of failed calls in one statement. For each: status is pending (runs again at run_at) or failed; applied is false for a request that this claim no longer holds, nothing was changed for it.
failures: [{"request_id", "claim_id", "error_class", "error_message", "retry_after_ms", "response", "parsed_response", "validation_errors", "repairs", "reasks", "calls": [ledger rows, as for llmq.mark_completed]}]. error_class decides what follows: transient, exception, capacity, out_of_quota, configuration, too_long, invalid, refused, truncated, bad_request, deadline, lost.
Errors: 55P03 another transaction held one of them for a second, nothing was stored: llmq.busy_claims() tells which; LQ001 no array, or an unknown error_class.$$;
