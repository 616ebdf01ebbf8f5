-- Keeps the ledgers of limits and budgets short, so that their sums stay cheap. Sums replace their rows in one
-- statement: whoever adds up at that moment sees the ones or the others.
create function llmq.compact_usage() returns int
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
  v_now   timestamptz := clock_timestamp();
  v_meter int;
  v_agent text;
  v_rows  int;
  v_total int;
begin
  delete from llmq.usage as u where u.at < v_now - interval '2 minutes';
  get diagnostics v_total = row_count;
  for v_meter in
    select u.meter from llmq.usage as u where not u.compact group by u.meter having count(*) > 200
  loop
    with taken as (
      delete from llmq.usage as u
      where u.meter = v_meter and not u.compact and u.at < v_now - interval '2 seconds'
      returning u.*
    )
    insert into llmq.usage (meter, at, requests, input_tokens, output_tokens, oldest_start, compact)
    select
      v_meter, max(t.at), sum(t.requests), sum(t.input_tokens), sum(t.output_tokens),
      (array_agg(t.oldest_start order by t.at desc) filter (where t.oldest_start is not null))[1], true
    from taken as t
    group by floor(extract(epoch from t.at) * 2);
    get diagnostics v_rows = row_count;
    v_total := v_total + v_rows;
  end loop;
  for v_agent in
    select u.agent_id from llmq.agent_usage as u
    where not u.compact
    group by u.agent_id
    having count(*) > 100 or min(u.at) < (select max(o.at) from llmq.agent_usage as o where o.agent_id = u.agent_id and o.compact)
  loop
    with taken as (
      delete from llmq.agent_usage as u
      where u.agent_id = v_agent and (u.compact or u.at < v_now - interval '2 seconds')
      returning u.*
    ),
    -- Another day or month begins at 0.
    newest as (select max(t.at) as at, max(t.at) at time zone 'UTC' as utc from taken as t)
    insert into llmq.agent_usage (agent_id, at, usd, usd_of_month, compact)
    select
      v_agent, n.at,
      coalesce(sum(t.usd) filter (where date_trunc('day', t.at at time zone 'UTC') = date_trunc('day', n.utc)), 0),
      coalesce(sum(coalesce(t.usd_of_month, t.usd)) filter (where date_trunc('month', t.at at time zone 'UTC') = date_trunc('month', n.utc)), 0),
      true
    from taken as t
    cross join newest as n
    where n.at is not null
    group by n.at, n.utc;
    get diagnostics v_rows = row_count;
    v_total := v_total + v_rows;
  end loop;
  return v_total;
end
$$;
comment on function llmq.compact_usage() is 'Shortens llmq.usage and llmq.agent_usage without changing their sums. Returns how many rows it touched. llmq.maintain() calls it every second.';
