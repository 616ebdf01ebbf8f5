-- What a call will take from the limits, on the safe side: five percent above what prompts of this size took,
-- and an answer as long as max_tokens allows or, without it, as nine of ten are. Plain SQL, so that it becomes part
-- of the query around it.
create function llmq.expected_tokens(request_id uuid, lane int) returns table (input_tokens int, output_tokens int)
language sql stable
as $$
  select
    least(ceil(1.05 * coalesce(e.input_factor, 1) * llmq.estimate_input_tokens(r.messages, r.tools, r.response_schema)), 2000000000)::int,
    coalesce((r.settings ->> 'max_tokens')::numeric, ceil(e.output_p90), m.max_output_tokens, 1000)::int
  from llmq.requests as r
  left join llmq.models as m on m.lane = expected_tokens.lane
  left join llmq.token_estimates as e on e.lane = expected_tokens.lane
  where r.id = request_id
$$;
comment on function llmq.expected_tokens(uuid, int) is 'Internal: tokens that a call for this request reserves in this lane.';
