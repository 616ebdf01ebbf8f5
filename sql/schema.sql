-- Everything llmq owns lives in this schema. Nothing in it is granted to PUBLIC (see grants.sql).
--
-- Its functions pin search_path = pg_catalog, pg_temp, and not '': an empty path still searches the caller's
-- temporary schema, and before all others, for tables and types. A domain made there and called text or uuid
-- would stand in for the real one inside a SECURITY DEFINER function and run its check as our owner.
create schema llmq;
comment on schema llmq is
  'llmq: a durable queue for LLM requests. Start with llmq.submit_llm_request() and the view llmq.llm_requests.';

