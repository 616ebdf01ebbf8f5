-- ON CONFLICT waits for a concurrent holder of the same key to commit or roll back, so the answer is final.
create function llmq.reserve_idempotency_key(agent_id text, key text, request_id uuid) returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_existing uuid;
begin
  loop
    insert into llmq.idempotency_keys as k (agent_id, key, request_id)
    values (reserve_idempotency_key.agent_id, reserve_idempotency_key.key, reserve_idempotency_key.request_id)
    on conflict do nothing;
    if found then
      return null;
    end if;
    select k.request_id into v_existing
    from llmq.idempotency_keys as k
    where k.agent_id = reserve_idempotency_key.agent_id and k.key = reserve_idempotency_key.key;
    if found then
      return v_existing;
    end if;
    -- Under REPEATABLE READ the other transaction's key exists but cannot be seen.
    if current_setting('transaction_isolation') <> 'read committed' then
      raise exception using errcode = '40001', message = 'a concurrent transaction submitted the same idempotency_key',
        hint = 'Retry the transaction.';
    end if;
  end loop;
end
$$;
comment on function llmq.reserve_idempotency_key(text, text, uuid) is 'Internal: null when the key is now this request''s, else the id of the request that has it.';
