-- Every grant, nowhere else. The roles are the DBA's to create (create role llmq_client; ...); what exists
-- is granted to, and `select llmq.grant_roles()` does it again for roles made later. PUBLIC gets nothing.
--
--   llmq_client  submits, reads and cancels requests of its own agents
--   llmq_worker  what orchestrators call
--   llmq_reader  the views, without prompts and answers
--   llmq_admin   all of it, and configuration
create function llmq.grant_roles() returns text[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_client constant text[] := array[
    'submit_llm_request', 'submit_llm_requests', 'get_llm_request', 'wait_for_llm_request', 'cancel_llm_request',
    'retry_llm_request', 'submit_tool_results', 'explain_llm_request', 'result_channel', 'inbox_channel', 'read_inbox', 'status_of',
    'caller', 'may_use_agent', 'hidden_agents', 'insert_llm_request', 'schema_version', 'uuid_v7_floor', 'uuid_v7_time'
  ];
  v_worker constant text[] := array[
    'register_worker', 'heartbeat_worker', 'unregister_worker', 'claim_pending_llm_requests', 'mark_processing',
    'note_llm_calls', 'mark_completed', 'mark_failed', 'complete_llm_requests', 'fail_llm_requests', 'release_llm_requests',
    'take_cancellations', 'lost_claims', 'busy_claims', 'arm_wake', 'disarm_wake', 'maintain', 'recover_lost_llm_requests', 'expire_llm_requests',
    'sweep_llm_requests', 'cleanup_llm_requests', 'ensure_partitions', 'handle_shared_queue', 'read_external_results',
    'settle_external_results', 'import_prices', 'read_metrics', 'schema_version', 'setting', 'hidden_agents', 'caller', 'may_use_agent'
  ];
  v_reader constant text[] := array[
    'hidden_agents', 'caller', 'may_use_agent', 'price_at', 'uuid_v7_floor', 'uuid_v7_time', 'schema_version',
    'result_channel', 'meter_use', 'agent_spent', 'find_stuck_requests'
  ];
  v_small constant text :=
    'id, agent_id, task_type, complexity, status, published_at, error_message, created_at, updated_at, error_type, priority, '
    'run_at, deadline, started_at, finished_at, model, provider, attempts, max_attempts, capacity_waits, reasks, crashes, '
    'calls, finish_reason, repairs, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, cost_usd, parent_id';
  v_views constant text :=
    'llmq.queue_depth, llmq.queue_by_agent, llmq.stuck_requests, llmq.requests_by_minute, llmq.completed_last_hour, '
    'llmq.agent_success_rate, llmq.recent_failures, llmq.validation_failures, llmq.latency_by_model, '
    'llmq.tool_call_counts, llmq.provider_outages, llmq.limit_use, llmq.provider_health, llmq.token_usage, '
    'llmq.cost_by_day, llmq.budget_use, llmq.current_prices, llmq.worker_health, llmq.table_health, llmq.storage_health';
  v_tool_calls constant text := 'request_id, agent_id, task_type, model, number, tool_call_id, tool_name, finished_at';
  v_role text;
  v_granted text[] := '{}';
begin
  foreach v_role in array array['llmq_client', 'llmq_worker', 'llmq_reader', 'llmq_admin'] loop
    continue when not exists (select from pg_catalog.pg_roles as r where r.rolname = v_role);
    execute format('grant usage on schema llmq to %I', v_role);
    if v_role = 'llmq_admin' then
      execute 'grant select, insert, update, delete on all tables in schema llmq to llmq_admin';
      execute 'grant usage, select, update on all sequences in schema llmq to llmq_admin';
      execute 'grant execute on all routines in schema llmq to llmq_admin';
    else
      perform llmq.grant_execute(v_role, case v_role when 'llmq_client' then v_client when 'llmq_worker' then v_worker else v_reader end);
    end if;
    case v_role
      when 'llmq_client' then
        execute 'grant select, insert on llmq.llm_requests to llmq_client';
      when 'llmq_worker' then
        execute 'grant select on llmq.settings, llmq.providers, llmq.models, llmq.routes, llmq.shared_queues, llmq.workers, llmq.model_state, llmq.queue_depth to llmq_worker';
      when 'llmq_reader' then
        execute format('grant select (%s) on llmq.llm_requests to llmq_reader', v_small);
        execute format('grant select (%s) on llmq.tool_calls to llmq_reader', v_tool_calls);
        execute format('grant select on %s, llmq.attempts, llmq.workers, llmq.models, llmq.prices, llmq.providers, llmq.routes, llmq.agents, llmq.model_state, llmq.lane_meters, llmq.usage, llmq.agent_usage, llmq.settings to llmq_reader', v_views);
      else null;
    end case;
    v_granted := v_granted || v_role;
  end loop;
  return v_granted;
end
$$;
comment on function llmq.grant_roles() is
$$Grants the roles llmq_client, llmq_worker, llmq_reader and llmq_admin what they need, as far as they exist, and returns which ones did. Create the roles first; call it again after creating one later.
Example: create role llmq_client nologin; select llmq.grant_roles();$$;

create function llmq.grant_execute(role_name text, routines text[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_routine regprocedure;
begin
  for v_routine in
    select p.oid::regprocedure
    from pg_catalog.pg_proc as p
    where p.pronamespace = 'llmq'::regnamespace and p.proname = any (routines)
  loop
    execute format('grant execute on routine %s to %I', v_routine, role_name);
  end loop;
end
$$;
comment on function llmq.grant_execute(text, text[]) is 'Internal: execute on the named routines of llmq.';

-- The default privileges of schema.sql cannot take back what a new function gives to PUBLIC by default.
revoke all on schema llmq from public;
revoke execute on all routines in schema llmq from public;
revoke usage on type
  llmq.new_request, llmq.claimed_request, llmq.complexity, llmq.priority, llmq.attempt_limit, llmq.jsonb_object,
  llmq.jsonb_array, llmq.json_schema, llmq.hold_reason, llmq.lane_room
from public;
select llmq.grant_roles();
