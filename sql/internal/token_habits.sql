create function llmq.token_habits(lane int, out input_factor double precision, out usual_output int)
language sql stable
as $$
  select coalesce(e.input_factor, 1), coalesce(ceil(e.output_p90), m.max_output_tokens, 1000)::int
  from (select 1) as one
  left join llmq.models as m on m.lane = token_habits.lane
  left join llmq.token_estimates as e on e.lane = token_habits.lane
$$;
comment on function llmq.token_habits(int) is 'Internal: how a model turns prompts into tokens, and how long its answers are.';
