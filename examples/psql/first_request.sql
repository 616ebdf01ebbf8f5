-- A first request from psql: psql "$DATABASE_URL" -f examples/psql/first_request.sql
-- The README shows the same lines.
\set ON_ERROR_STOP on

select llmq.submit_llm_request(
  agent_id  => 'support',
  task_type => 'summary',
  messages  => '[{"role": "user", "content": "Summarise: the parcel came late, but complete."}]',
  response_schema => '{"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]}'
) as id \gset

call llmq.wait_for_llm_request(:'id', '60 s');
select status, parsed_response from llmq.get_llm_request(:'id');
