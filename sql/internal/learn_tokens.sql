-- From calls whose use is known. The factor follows the last hundred calls or so; the percentile is a running
-- one, which needs no history: every answer above it pushes it up nine times as far as one below pulls it down.
create function llmq.learn_tokens(used jsonb) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_seen record;
begin
  for v_seen in
    select
      u.lane, count(*) as calls, sum(u.input_tokens)::double precision as input_tokens,
      sum(u.reserved_input) / 1.05 as expected,
      percentile_cont(0.9) within group (order by u.output_tokens) as p90,
      count(*) filter (where u.output_tokens > e.output_p90) as above, coalesce(e.samples, 0) as samples,
      e.output_p90
    from jsonb_to_recordset(used) as u (lane int, known boolean, reserved_input bigint, input_tokens bigint, output_tokens bigint)
    left join llmq.token_estimates as e on e.lane = u.lane
    where u.known and u.reserved_input > 0
    group by u.lane, e.samples, e.output_p90
    order by u.lane
  loop
    insert into llmq.token_estimates (lane) values (v_seen.lane) on conflict do nothing;
    -- Skipped while another batch teaches it, for an estimate is not worth a wait; and once it is good, for two
    -- seconds: under a long transaction every claim reads through all versions of this row.
    update llmq.token_estimates as e
    set input_factor = least(20, greatest(0.05, e.input_factor * (
          1 + least(0.5, v_seen.calls / least(100.0, e.samples + v_seen.calls)) * (v_seen.input_tokens / v_seen.expected - 1)
        ))),
        output_p90 = greatest(1, case
          when e.samples = 0 then v_seen.p90
          else e.output_p90 * (1 + least(1, greatest(-0.5, 0.05 * (0.9 * v_seen.above - 0.1 * (v_seen.calls - v_seen.above)))))
        end),
        samples = e.samples + v_seen.calls,
        updated_at = clock_timestamp()
    where e.lane = any (array(
      select w.lane
      from llmq.token_estimates as w
      where w.lane = v_seen.lane and (w.samples < 100 or w.updated_at < clock_timestamp() - interval '2 seconds')
      for update skip locked
    ));
  end loop;
end
$$;
comment on function llmq.learn_tokens(jsonb) is 'Internal: corrects llmq.token_estimates by what calls used.';
