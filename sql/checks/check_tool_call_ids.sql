-- Both sides are sets that are hashed once: a conversation may have thousands of turns.
create function llmq.check_tool_call_ids(messages jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_place bigint;
  v_id text;
begin
  if not messages @? '$[*] ? (@.role == "tool")' then
    return;
  end if;
  select t.place - 1, t.message ->> 'tool_call_id'
  into v_place, v_id
  from jsonb_array_elements(messages) with ordinality as t (message, place)
  left join (
    select c.call ->> 'id' as id, min(a.place) as place
    from jsonb_array_elements(messages) with ordinality as a (message, place)
    cross join lateral jsonb_array_elements(
      case when a.message ->> 'role' = 'assistant' and jsonb_typeof(a.message -> 'tool_calls') = 'array'
        then a.message -> 'tool_calls' else '[]' end
    ) as c (call)
    group by c.call ->> 'id'
  ) as made on made.id = t.message ->> 'tool_call_id' and made.place < t.place
  where t.message ->> 'role' = 'tool' and made.id is null
  order by t.place
  limit 1;
  if found then
    perform llmq.raise_invalid(
      format('messages[%s].tool_call_id must be the id of an earlier tool call', v_place),
      format('No assistant message before it has a call %s.', llmq.quote_glimpse(v_id)),
      'Send the assistant message with its tool_calls before the results.'
    );
  end if;
end
$$;
comment on function llmq.check_tool_call_ids(jsonb) is
  'Internal: each tool message must answer a call of an earlier assistant message, else LQ001. For messages of the right shape only.';
