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
    select s.agent_id from llmq.agent_spend as s where not s.compact group by s.agent_id having count(*) > 200
  loop
    with taken as (
      delete from llmq.agent_spend as s where s.agent_id = v_agent returning s.*
    )
    insert into llmq.agent_spend (agent_id, at, usd, compact)
    select v_agent, date_trunc('day', t.at at time zone 'UTC') at time zone 'UTC', sum(t.usd), true
    from taken as t
    where t.at > v_now - interval '62 days'
    group by 2;
    get diagnostics v_rows = row_count;
    v_total := v_total + v_rows;
  end loop;
  return v_total;
end
$$;
comment on function llmq.compact_usage() is 'Shortens llmq.usage and llmq.agent_spend without changing their sums. Returns how many rows it touched. llmq.maintain() calls it every second.';
