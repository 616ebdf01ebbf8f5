-- Does an orchestrator sleep? A sequence is read and written without a lock and leaves no dead rows.
-- 1: all awake, a submit need not notify. 2: somebody sleeps.
create sequence llmq.armed minvalue 1 maxvalue 2 start 1 no cycle;
comment on sequence llmq.armed is '2 while an orchestrator sleeps and wants to be woken by NOTIFY llmq_wake, else 1.';
