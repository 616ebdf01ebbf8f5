-- Weekly partitions of requests, results and attempts, from this week to `ahead`. Weeks, not days: every
-- partition costs planning time, and 90 days are 14 of them. A week is 168 hours here: seven days would be
-- an hour more or less when the session's time zone changes its clocks.
--
-- Attaching a partition locks the default partition against everybody. Behind a long reader (pg_dump) it would
-- wait, and every submit would wait behind it: so it gives up soon. Partitions are made weeks ahead.
create function llmq.ensure_partitions(ahead interval = '4 weeks') returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '700ms'
as $$
declare
  v_week    timestamptz := date_trunc('week', now() at time zone 'UTC') at time zone 'UTC';
  v_parent  text;
  v_name    text;
  v_made    int := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('llmq.ensure_partitions', 0));
  while v_week <= now() + ahead loop
    foreach v_parent in array array['requests', 'results', 'attempts'] loop
      v_name := format('%s_%s', v_parent, to_char(v_week at time zone 'UTC', 'YYYYMMDD'));
      if to_regclass(format('llmq.%I', v_name)) is null then
        begin
          perform llmq.make_partition(v_parent, v_name, llmq.uuid_v7_floor(v_week), llmq.uuid_v7_floor(v_week + interval '168 hours'));
        exception when lock_not_available then
          raise warning 'llmq: partition % was not made, somebody uses the table for long; the next call tries again', v_name;
          return v_made;
        end;
        v_made := v_made + 1;
      end if;
    end loop;
    v_week := v_week + interval '168 hours';
  end loop;
  return v_made;
end
$$;
comment on function llmq.ensure_partitions(interval) is
$$Makes the weekly partitions (Monday to Sunday, UTC) of requests, results and attempts that are missing; returns how many. llmq migrate calls it, and every orchestrator at its start and every hour. Rows of a week without a partition go to the default partitions, and move when theirs is made.
ahead: up to now plus this.$$;
