-- An ORM that saves a changed row gets a way to go on, instead of Postgres's advice to write a trigger.
create function llmq.refuse_llm_request_change() returns trigger
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception using errcode = 'LQ007',
    message = format('request %s cannot be %s', old.id, case tg_op when 'UPDATE' then 'updated' else 'deleted' end),
    detail = format('It is %s. Rows of llmq.llm_requests change through functions alone.', old.status),
    hint = case tg_op
      when 'UPDATE' then 'llmq.cancel_llm_request() ends it, llmq.retry_llm_request() runs it again, llmq.mark_completed() and llmq.mark_failed() finish it for a worker. To ask something else, submit a new request.'
      else 'llmq.cancel_llm_request() ends it; llmq.cleanup_llm_requests() removes what is older than the retention.'
    end;
end
$$;
comment on function llmq.refuse_llm_request_change() is 'Trigger: UPDATE and DELETE of llmq.llm_requests are refused (LQ007), with the function to call instead.';

create trigger refuse_change
instead of update or delete on llmq.llm_requests
for each row execute function llmq.refuse_llm_request_change();
