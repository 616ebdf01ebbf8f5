create function llmq.enable_pgmq() returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_queue text;
begin
  if to_regclass('pgmq.meta') is null then
    raise exception using errcode = 'LQ006', message = 'the extension pgmq is not installed in this database',
      hint = 'create extension pgmq; then call this again. Everything but the copies and the shared queues works without it.';
  end if;
  foreach v_queue in array array['llm_requests', 'llm_results', 'job_results', 'approval_responses', 'question_responses'] loop
    if to_regclass(format('pgmq.%I', 'q_' || v_queue)) is null then
      perform pgmq.create(v_queue);
    end if;
  end loop;
  update llmq.settings as s set value = 'true' where s.name = 'pgmq';
  return true;
end
$$;
comment on function llmq.enable_pgmq() is
$$Makes the pgmq queues llm_requests, llm_results, job_results, approval_responses and question_responses where they are missing, and turns the copy of every request to llm_requests on (setting pgmq). llmq migrate calls it when the extension is installed. Returns true.
Errors: LQ006 the extension pgmq is not installed.$$;
