insert into llmq.shared_queues (queue_name, handler) values
  ('llm_results', 'llmq.read_external_results'),
  ('job_results', 'llmq.receive_in_inbox'),
  ('approval_responses', 'llmq.receive_in_inbox'),
  ('question_responses', 'llmq.receive_in_inbox');
