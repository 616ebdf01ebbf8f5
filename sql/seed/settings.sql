insert into llmq.settings (name, value, description) values
  ('max_attempts', '8', 'Failures after which a request fails, unless it names its own number.'),
  ('retry_base', '"1 second"', 'Pause after the first failure; doubles with each, with jitter over half of it.'),
  ('retry_max', '"5 minutes"', 'Longest pause between two attempts.'),
  ('max_crashes', '3', 'How many workers may die over one request before it fails.'),
  ('validation_retries', '1', 'How often a model is asked again with the errors of its answer; 0: an invalid answer fails at once.'),
  ('call_timeout', '600', 'Seconds one call may take in all; a request''s settings.timeout goes before it.'),
  ('first_byte_timeout', '600', 'Seconds until the first byte of an answer.'),
  ('connect_timeout', '10', 'Seconds until a connection to the provider stands.'),
  ('retention_days', '90', 'Days a finished request is kept.'),
  ('pgmq', 'false', 'Copy every request to the pgmq queue llm_requests; llmq.enable_pgmq() turns it on.'),
  ('pgmq_payload', '"reference"', 'reference: {"request_id", "agent_id", "task_type", "complexity"}; full: the whole request.');
