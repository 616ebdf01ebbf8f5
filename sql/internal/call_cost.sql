-- PL/pgSQL, so that the plan of the look-up is kept for the session: before 18 a function in SQL is planned
-- anew by every statement that calls it.
create function llmq.call_cost(
  lane                int,
  at                  timestamptz,
  input_tokens        int,
  output_tokens       int,
  cached_input_tokens int = 0,
  reasoning_tokens    int = 0
) returns numeric
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
begin
  return (
    select llmq.cost_of(p, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens)
    from llmq.models as m
    cross join lateral llmq.price_at(m.name, at, input_tokens) as p
    where m.lane = call_cost.lane
  );
end
$$;
comment on function llmq.call_cost(int, timestamptz, int, int, int, int) is
$$What a call costs, in US dollars; null when the model has no price at that time.
lane: llmq.models.lane.
at: when the call starts.
input_tokens: all of them, cached ones included.
output_tokens: all of them, reasoning included.
cached_input_tokens: the part of input_tokens that the provider had cached.
reasoning_tokens: the part of output_tokens spent on reasoning.$$;
