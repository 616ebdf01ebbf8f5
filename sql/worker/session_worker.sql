-- A worker for whoever claims by hand or in a script: one per session, found again by its backend.
create function llmq.session_worker() returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_name text := format('session %s of %s', pg_backend_pid(), llmq.caller());
  v_start text;
  v_id   uuid;
begin
  -- Null when the owner of this function may not see the caller's session.
  select a.backend_start::text into v_start from pg_catalog.pg_stat_activity as a where a.pid = pg_backend_pid();
  update llmq.workers as w
  set heartbeat_at = clock_timestamp()
  where w.name = v_name and w.info ->> 'backend_start' is not distinct from v_start
  returning w.id into v_id;
  if not found then
    insert into llmq.workers (name, lost_after, info)
    values (v_name, interval '5 minutes', jsonb_build_object('backend_start', v_start))
    returning id into v_id;
  end if;
  return v_id;
end
$$;
comment on function llmq.session_worker() is 'Internal: the worker of this database session; made at its first claim, lives five minutes past its last.';
