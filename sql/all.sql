-- The table of contents: what the database is today, in the order in which it is installed.

-- Ids, and the types that functions share
--!include schema.sql
--!include types.sql
--!include ids/uuid_v7.sql
--!include ids/uuid_v7_floor.sql
--!include ids/uuid_v7_time.sql

-- Tables: configuration, then a request's life, then machinery
--!include tables/settings.sql
--!include tables/providers.sql
--!include tables/models.sql
--!include tables/model_state.sql
--!include tables/routes.sql
--!include tables/agents.sql
--!include tables/workers.sql
--!include tables/requests.sql
--!include tables/queue.sql
--!include tables/results.sql
--!include tables/attempts.sql
--!include tables/idempotency_keys.sql
--!include tables/tool_results.sql
--!include tables/lane_marks.sql
--!include tables/cancellations.sql
--!include tables/armed.sql
--!include tables/shared_queues.sql
--!include tables/inbox.sql
--!include tables/set_aside.sql

-- Who asks, and what they may see
--!include internal/setting.sql
--!include internal/caller.sql
--!include internal/may_use_agent.sql
--!include internal/hidden_agents.sql

-- The view
--!include views/llm_requests.sql

-- Checks of input
--!include CHECKS.sql

-- Submitting
--!include internal/pgmq_ready.sql
--!include internal/route_models.sql
--!include internal/check_reply_to.sql
--!include internal/check_request.sql
--!include internal/check_request_list.sql
--!include internal/reserve_idempotency_key.sql
--!include internal/next_tag.sql
--!include internal/copy_to_pgmq.sql
--!include internal/enqueue.sql
--!include client/submit_llm_request.sql
--!include client/submit_llm_requests.sql
--!include triggers/wake_orchestrators.sql

-- Reading and waiting
--!include internal/raise_not_found.sql
--!include client/get_llm_request.sql
--!include client/status_of.sql
--!include client/wait_for_llm_request.sql
--!include client/result_channel.sql
--!include client/explain_llm_request.sql
--!include triggers/insert_llm_request.sql

-- Workers: register, claim
--!include worker/register_worker.sql
--!include worker/heartbeat_worker.sql
--!include worker/session_worker.sql
--!include worker/arm_wake.sql
--!include worker/disarm_wake.sql
--!include worker/promote_waiting.sql
--!include worker/claim_pending_llm_requests.sql
--!include internal/raise_illegal_transition.sql
--!include worker/mark_processing.sql

-- Finishing
--!include internal/write_attempts.sql
--!include internal/send_replies.sql
--!include internal/notify_agents.sql
--!include internal/finish_requests.sql
--!include internal/note_success.sql
--!include worker/complete_llm_requests.sql
--!include worker/mark_completed.sql

-- Failing, and what follows
--!include internal/error_type.sql
--!include internal/backoff.sql
--!include internal/cool_down.sql
--!include internal/next_in_route.sql
--!include internal/decide_failure.sql
--!include internal/fail_requests.sql
--!include internal/check_failure_list.sql
--!include worker/fail_llm_requests.sql
--!include worker/mark_failed.sql
--!include worker/release_llm_requests.sql
--!include worker/unregister_worker.sql

-- Cancelling, retrying, tool turns
--!include internal/end_unfinished.sql
--!include worker/take_cancellations.sql
--!include client/cancel_llm_request.sql
--!include client/retry_llm_request.sql
--!include internal/check_tool_results.sql
--!include internal/tool_turn.sql
--!include client/submit_tool_results.sql

-- Shared queues
--!include worker/receive_in_inbox.sql
--!include worker/handle_shared_queue.sql
--!include worker/read_external_results.sql
--!include worker/settle_external_results.sql

-- Operators
--!include operator/configure_provider.sql
--!include operator/configure_model.sql
--!include operator/configure_route.sql
--!include operator/configure_agent.sql
--!include operator/recover_lost_llm_requests.sql
--!include operator/expire_llm_requests.sql
--!include operator/sweep_llm_requests.sql
--!include operator/maintain.sql
--!include internal/make_partition.sql
--!include operator/ensure_partitions.sql
--!include internal/weeks_before.sql
--!include internal/has_results_since.sql
--!include operator/cleanup_llm_requests.sql
--!include operator/enable_pgmq.sql
--!include operator/schema_version.sql

-- Views for people
--!include views/queue_depth.sql
--!include views/agent_success_rate.sql
--!include views/recent_failures.sql
--!include views/validation_failures.sql
--!include views/provider_outages.sql

-- First rows, and grants
--!include seed/settings.sql
--!include seed/external.sql
--!include seed/shared_queues.sql
--!include grants.sql
