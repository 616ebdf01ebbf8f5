-- A procedure, because waiting must not hold a snapshot: an open snapshot keeps dead rows of the whole
-- database from being removed. Each look is a transaction of its own; the pause between two is an
-- expression without a snapshot (llmq.pause is declared immutable for exactly that reason: PL/pgSQL takes
-- a snapshot for every expression that is not).
create function llmq.pause(seconds double precision) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_done text;
begin
  v_done := pg_catalog.pg_sleep(seconds);
  return true;
end
$$;
comment on function llmq.pause(double precision) is 'Internal: sleeps without a snapshot when called as a plain expression.';

create procedure llmq.wait_for_llm_request(request_id uuid, timeout interval, inout status text = null)
language plpgsql
as $$
declare
  v_until timestamptz := clock_timestamp() + timeout;
  v_pause double precision := 0.002;
  v_now   boolean;
begin
  if timeout is null then
    raise exception using errcode = 'LQ001', message = 'timeout must not be null', hint = 'For example interval ''30 seconds''.';
  end if;
  loop
    status := llmq.status_of(request_id);
    exit when status in ('completed', 'failed', 'cancelled');
    if clock_timestamp() >= v_until then
      raise exception using errcode = 'LQ008', message = format('request %s is not finished after %s', request_id, timeout),
        detail = format('It is %s.', status), hint = 'It goes on running. Wait again, or see llmq.explain_llm_request().';
    end if;
    commit;
    v_now := llmq.pause(least(v_pause, 0.001 + greatest(extract(epoch from v_until - clock_timestamp()), 0)));
    v_pause := least(v_pause * 1.5, 0.05);
  end loop;
end
$$;
comment on procedure llmq.wait_for_llm_request(uuid, interval, text) is
$$Waits until a request is finished and gives its status. Call it outside of a transaction: it holds no snapshot while it waits, so it ends its transaction between two looks.
request_id: what the submit returned, after its commit.
timeout: how long at most.
status: leave it out; the result's only column: completed, failed or cancelled.
Errors: LQ001 timeout is null, LQ002 unknown, LQ008 not finished in time (it goes on running), 2D000 called inside a transaction block or a function.
Example: call llmq.wait_for_llm_request('01890a5d-ac96-774b-bcce-b302099a8057', '30 s');$$;
