-- Requests with context.executor = 'external' wait in this lane; no orchestrator claims from it.
select llmq.configure_provider('external', 'external');
select llmq.configure_model('external', 'external');
