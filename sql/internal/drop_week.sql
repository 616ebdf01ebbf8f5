-- Lock order: results, requests, attempts, as they were created; given up after lock_timeout of the caller.
create function llmq.drop_week(suffix text, from_id uuid, to_id uuid, finished_before timestamptz) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_rows bigint;
begin
  if exists (select from llmq.queue as q where q.id >= from_id and q.id < to_id)
    or exists (select from llmq.in_flight as h where h.id >= from_id and h.id < to_id)
    or llmq.has_results_since(suffix, finished_before) then
    return null;
  end if;
  execute format('lock table llmq.%I, llmq.%I, llmq.%I in access exclusive mode', 'results_' || suffix, 'requests_' || suffix, 'attempts_' || suffix);
  if exists (select from llmq.queue as q where q.id >= from_id and q.id < to_id)
    or exists (select from llmq.in_flight as h where h.id >= from_id and h.id < to_id)
    or llmq.has_results_since(suffix, finished_before) then
    return null;
  end if;
  execute format('select count(*) from llmq.%I', 'results_' || suffix) into v_rows;
  execute format('drop table llmq.%I, llmq.%I, llmq.%I', 'results_' || suffix, 'requests_' || suffix, 'attempts_' || suffix);
  return v_rows;
exception when lock_not_available then
  raise warning 'llmq: the week % was not removed, somebody uses it; the next call tries again', suffix;
  return null;
end
$$;
comment on function llmq.drop_week(text, uuid, uuid, timestamptz) is 'Internal: drops one weekly partition of each table if all its requests finished before a moment; how many, or null when it was kept.';
