-- Retention. A week whose every request finished before the limit is dropped as a table; what remains of
-- other weeks is deleted in batches, oldest first. Requests that are not finished are never touched.
--
-- A drop needs the table for itself. Behind a long reader (pg_dump) it would wait, and everybody behind it: so
-- it gives up soon, and the next call tries again. It looks once more under the lock: a request of that week
-- may have been retried meanwhile.
create function llmq.cleanup_llm_requests(retention interval = null, max_rows int = 10000) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '700ms'
as $$
declare
  v_limit   timestamptz := clock_timestamp() - coalesce(retention, (llmq.setting('retention_days'))::int * interval '1 day');
  v_week    record;
  v_ids     uuid[];
  v_rows    bigint;
  v_removed bigint := 0;
begin
  if retention < interval '0' or max_rows < 1 then
    raise exception using errcode = 'LQ001', message = 'retention must not be negative and max_rows must be at least 1';
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('llmq.cleanup_llm_requests', 0)) then
    return 0;
  end if;
  for v_week in select w.* from llmq.weeks_before(v_limit) as w loop
    v_rows := llmq.drop_week(v_week.suffix, v_week.from_id, v_week.to_id, v_limit);
    continue when v_rows is null;
    delete from llmq.idempotency_keys as k where k.request_id >= v_week.from_id and k.request_id < v_week.to_id;
    delete from llmq.tool_results as t where t.request_id >= v_week.from_id and t.request_id < v_week.to_id;
    v_removed := v_removed + v_rows;
  end loop;

  with old as (
    delete from llmq.results as f
    where f.id = any (array(
      -- One that is being retried at this moment is not waited for.
      select o.id from llmq.results as o where o.finished_at < v_limit order by o.finished_at limit max_rows
      for update skip locked
    ))
    returning f.id
  )
  select array_agg(o.id) into v_ids from old as o;
  delete from llmq.requests as r where r.id = any (v_ids);
  delete from llmq.attempts as a where a.request_id = any (v_ids);
  delete from llmq.idempotency_keys as k where k.request_id = any (v_ids);
  delete from llmq.tool_results as t where t.request_id = any (v_ids);
  perform llmq.cleanup_messages(v_limit, max_rows);
  return v_removed + coalesce(cardinality(v_ids), 0);
end
$$;
comment on function llmq.cleanup_llm_requests(interval, int) is
$$Removes finished requests older than the retention: whole weeks by DROP, the rest by DELETE. Returns how many requests; call again until it returns 0. Every orchestrator calls it at its start and every hour, with SHARED_QUEUE_RETENTION_DAYS.
retention: since they finished; null: the setting retention_days.
max_rows: the most to DELETE in one call.
Errors: LQ001.
Example: select llmq.cleanup_llm_requests('30 days');$$;
