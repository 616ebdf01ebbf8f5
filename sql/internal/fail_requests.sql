-- processing -> pending (again later, perhaps with another model) or failed. Row by row, since each needs
-- its own decision; those that end are ended together, those that do not give back what they reserved.
-- Lock order: the advisory lock of cool-downs, if a model must cool down (two batches that cool the same two
-- models in a different order would wait for each other), then rows in flight in the order of their ids, model_state.
create function llmq.fail_requests(failures jsonb)
returns table (request_id uuid, status text, run_at timestamptz)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
#variable_conflict use_column
declare
  v_failure record;
  v_held    llmq.in_flight;
  v_waits   llmq.in_flight;
  v_next    record;
  v_class   text;
  v_ended   jsonb := '[]';
  v_again   llmq.in_flight[] := '{}';
  v_well    llmq.in_flight[] := '{}';
begin
  if failures @? '$[*].error_class ? (@ == "transient" || @ == "capacity" || @ == "out_of_quota" || @ == "configuration")' then
    perform pg_advisory_xact_lock(hashtextextended('llmq.cool_down', 0));
  end if;
  for v_failure in
    select f.report as failure, f.request_id as id, f.claim_id,
      f.report ->> 'error_class' as error_class, f.report ->> 'error_message' as error_message,
      -- A day at most: who named a year by mistake would park the model for it.
      case when f.report ->> 'retry_after_ms' is not null then
        least((f.report ->> 'retry_after_ms')::double precision, 86400000) * interval '1 millisecond'
      end as retry_after
    from llmq.newest_claims(failures) as f
    where f.newest
    order by f.request_id
  loop
    select h.* into v_held
    from llmq.in_flight as h
    where h.id = v_failure.id and h.claim_id = v_failure.claim_id
    for update;
    continue when not found;

    v_class := v_failure.error_class;
    -- The model did its part.
    if v_class in ('invalid', 'refused', 'truncated', 'too_long', 'bad_request') then
      v_well := v_well || v_held;
    end if;
    select d.* into v_next
    from llmq.decide_failure(v_held, v_class, v_failure.error_message, v_failure.retry_after) as d;

    if v_next.verdict = 'again' then
      perform llmq.write_attempts(array[v_held], jsonb_build_array(v_failure.failure));
      v_waits := v_held;
      v_waits.lane := v_next.next_lane;
      v_waits.route_step := v_next.next_step;
      v_waits.run_at := v_next.next_run;
      v_waits.attempts := v_held.attempts + v_next.failures;
      v_waits.capacity_waits := v_held.capacity_waits + v_next.waits;
      v_waits.crashes := v_held.crashes + v_next.crashed;
      v_waits.reasks := v_held.reasks + coalesce((v_failure.failure ->> 'reasks')::int, 0);
      v_waits.error_type := llmq.error_type(v_class);
      v_waits.error_message := left(v_failure.error_message, 300);
      perform llmq.put_back(array[v_waits], jsonb_array_length(coalesce(nullif(v_failure.failure -> 'calls', 'null'), '[]')));
      v_again := v_again || v_held;
      request_id := v_held.id;
      status := 'pending';
      run_at := v_next.next_run;
      return next;
    else
      v_ended := v_ended || (v_failure.failure || jsonb_build_object(
        'status', 'failed',
        'error_type', coalesce(v_failure.failure ->> 'error_type', llmq.error_type(v_class)),
        'error_message', case
          when llmq.error_type(v_class) = 'provider_unavailable' and v_failure.error_message not like '%LLM provider unavailable%'
            then 'LLM provider unavailable: ' || v_failure.error_message
          else v_failure.error_message
        end,
        'failures', v_next.failures,
        'crashes', v_next.crashed
      ));
    end if;
  end loop;
  if v_again <> '{}' then
    perform llmq.settle(v_again, failures);
    if exists (select from llmq.queue as q where q.hold in ('agent_concurrency', 'agent_budget')) then
      perform llmq.release_held((select array_agg(h.agent_id) from unnest(v_again) as h));
    end if;
  end if;
  perform llmq.note_success(v_well);
  if v_ended <> '[]' then
    return query
    select d.id, 'failed'::text, null::timestamptz from unnest(llmq.finish_requests(v_ended)) as d (id);
  end if;
end
$$;
comment on function llmq.fail_requests(jsonb) is 'Internal: carries out llmq.decide_failure for each failure whose claim still holds.';
