-- A token is three bytes of text or more, in every language; pictures, sounds and files count as 1,500 tokens
-- each, since their size says nothing. What a model really makes of it is learned (llmq.token_estimates).
create function llmq.estimate_input_tokens(messages jsonb, tools jsonb, response_schema jsonb) returns int
language sql immutable parallel safe
as $$
  select greatest(1, least(2000000000, case
    when messages @? '$[*].content[*] ? (@.type != "text")' then
      (
        select coalesce(sum(case
          when jsonb_typeof(c.content) is distinct from 'array' then octet_length(m.message::text) / 3
          else (
            select coalesce(sum(case when p.part ->> 'type' = 'text' then octet_length(p.part ->> 'text') / 3 else 1500 end), 0)
            from jsonb_array_elements(c.content) as p (part)
          )
        end), 0)
        from jsonb_array_elements(messages) as m (message)
        cross join lateral (select m.message -> 'content' as content) as c
      )
    else octet_length(messages::text) / 3
  end + coalesce(octet_length(tools::text), 0) / 3 + coalesce(octet_length(response_schema::text), 0) / 3))::int
$$;
comment on function llmq.estimate_input_tokens(jsonb, jsonb, jsonb) is 'Internal: tokens of a prompt by its size, before the model''s own factor.';
