-- Everything llmq owns lives in this schema. Nothing in it is granted to PUBLIC (see grants.sql).
create schema llmq;
comment on schema llmq is
  'llmq: a durable queue for LLM requests. Start with llmq.submit_llm_request() and the view llmq.llm_requests.';

