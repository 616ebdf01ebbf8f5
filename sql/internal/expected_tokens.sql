-- What a call will take from the limits, on the safe side: five percent above what prompts of this size took, and an
-- answer as long as max_tokens allows or, without it, as nine of ten are (llmq.token_habits, read once for a whole
-- claim). Plain SQL, so that it becomes part of the query around it.
create function llmq.expected_tokens(request_id uuid, input_factor double precision, usual_output int)
returns table (input_tokens int, output_tokens int)
language sql stable
as $$
  select
    least(ceil(1.05 * expected_tokens.input_factor * llmq.estimate_input_tokens(r.messages, r.tools, r.response_schema)), 2000000000)::int,
    coalesce((r.settings ->> 'max_tokens')::numeric, expected_tokens.usual_output)::int
  from llmq.requests as r
  where r.id = request_id
$$;
comment on function llmq.expected_tokens(uuid, double precision, int) is 'Internal: tokens that a call for this request reserves.';
