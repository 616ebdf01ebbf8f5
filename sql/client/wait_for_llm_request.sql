-- A procedure, because waiting must not hold a snapshot: an open one keeps dead rows of the whole database
-- from being removed. Each look is a transaction of its own, so that the oldest snapshot of a waiter is that of
-- its last pause, 50 ms at most. (None at all cannot be had in PL/pgSQL: every expression, and so every way of
-- pausing, takes one.)
create procedure llmq.wait_for_llm_request(request_id uuid, timeout interval, inout status text = null)
language plpgsql
as $$
declare
  v_until timestamptz := clock_timestamp() + timeout;
  v_pause double precision := 0.002;
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
    v_pause := least(v_pause * 1.5, 0.05, 0.001 + greatest(extract(epoch from v_until - clock_timestamp()), 0));
    commit;
    perform pg_catalog.pg_sleep(v_pause);
  end loop;
end
$$;
comment on procedure llmq.wait_for_llm_request(uuid, interval, text) is
$$Waits until a request is finished and gives its status. Call it outside of a transaction: it ends its transaction between two looks, so that it never holds a snapshot for longer than 50 ms.
request_id: what the submit returned, after its commit.
timeout: how long at most.
status: leave it out; the result's only column: completed, failed or cancelled.
Errors: LQ001 timeout is null, LQ002 unknown, LQ008 not finished in time (it goes on running), 2D000 called inside a transaction block or a function.
Example: call llmq.wait_for_llm_request('01890a5d-ac96-774b-bcce-b302099a8057', '30 s');$$;
