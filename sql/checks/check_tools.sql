create function llmq.check_tools(tools jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if tools is null or tools = 'null' then
    return;
  end if;
  -- How to read the path: see llmq.check_messages().
  if tools @? $path$strict $ ? (
    @.size() <= 128 && !exists(@[*] ? (!exists(@ ? (
      @.type == "function" && @.function.name like_regex "^[a-zA-Z0-9_.-]{1,64}$"
      && ((exists(@.function.description)) is unknown || @.function.description.type() == "string")
      && ((exists(@.function.parameters)) is unknown || @.function.parameters.type() == "object")
    ))))
  )$path$ then
    if jsonb_array_length(tools) < 2 or jsonb_array_length(tools) = (
      select count(distinct t.tool #>> '{function,name}' collate "C") from jsonb_array_elements(tools) as t (tool)
    ) then
      return;
    end if;
  end if;
  perform llmq.refuse_tools(tools);
end
$$;
comment on function llmq.check_tools(jsonb) is
$$Internal: tools must be null or at most 128 definitions in OpenAI's format, else LQ001 with the place of the first fault.
{type: function, function: {name, description, parameters}}: names of 1 to 64 letters, digits, dots, dashes and underscores, each once; parameters is a JSON Schema object.$$;
