-- An identical request that makes this call unnecessary: one that was answered (settings.cache_seconds of both
-- not yet over), or one in flight that also lets itself be shared. A try-lock keeps two claims from starting
-- two twins at the same moment.
create function llmq.find_twin(
  own_id uuid, share_key uuid, lane int, shares boolean, starting jsonb,
  out found_as   text,   -- cached | in_flight | busy
  out request_id uuid
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_variable
begin
  select c.request_id into request_id
  from llmq.cached_answers as c
  where c.share_key = share_key and c.lane = lane and c.expires_at > clock_timestamp()
    and c.finished_at > clock_timestamp() - (
      select (r.settings ->> 'cache_seconds')::double precision * interval '1 second' from llmq.requests as r where r.id = own_id
    )
    and exists (select from llmq.results as f where f.id = c.request_id and f.status = 'completed');
  if found then
    found_as := 'cached';
    return;
  end if;
  if shares is not true then
    return;
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended(share_key::text, lane)) then
    found_as := 'busy';
    return;
  end if;
  request_id := coalesce((starting ->> share_key::text)::uuid, (
    select t.request_id
    from llmq.twins as t
    where t.share_key = share_key and t.shares
      and (select h.lane = lane from llmq.in_flight as h where h.id = t.request_id)
    limit 1
  ));
  if request_id is not null then
    found_as := 'in_flight';
  end if;
end
$$;
comment on function llmq.find_twin(uuid, uuid, int, boolean, jsonb) is 'Internal: the identical request whose answer this one may have.';
