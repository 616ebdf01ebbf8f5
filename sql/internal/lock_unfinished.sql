-- An unfinished request, locked wherever it is. While this waits for the lock of a claim or of an outcome, the row
-- moves: it is gone from the table that was asked and not yet seen in the other. Hence again, until it is found or
-- one look at both finds nothing.
create function llmq.lock_unfinished(request_id uuid) returns llmq.in_flight
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_waiting llmq.queue;
  v_held    llmq.in_flight;
begin
  loop
    select q.* into v_waiting from llmq.queue as q where q.id = request_id for update;
    if found then
      return llmq.unclaimed(v_waiting);
    end if;
    select h.* into v_held from llmq.in_flight as h where h.id = request_id for update;
    if found then
      return v_held;
    end if;
    if not exists (
      select from llmq.queue as q where q.id = request_id union all select from llmq.in_flight as h where h.id = request_id
    ) then
      return null;
    end if;
  end loop;
end
$$;
comment on function llmq.lock_unfinished(uuid) is 'Internal: a pending (claim_id null) or processing request, locked; null when it is finished or unknown.';
