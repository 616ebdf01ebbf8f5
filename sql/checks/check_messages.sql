-- The usual conversation is recognised by one jsonpath, which costs about as much as a comparison of text;
-- one with tools or parts by a second, longer one. Only what neither takes is looked at message by message,
-- by llmq.refuse_messages(), to say what is wrong and where.
--
-- In the paths `!exists(@ ? (...))` reads "is not known to be": strict mode makes a missing key unknown, not
-- false, and unknown counts as a fault. `(exists(@.key)) is unknown` reads "has no such key".
-- A function that is inlined, so that those who have it in an expression of their own save a call.
create function llmq.is_plain_conversation(messages jsonb) returns boolean
language sql immutable parallel safe
as $$
  select messages @? $path$strict $ ? (
    @.size() > 0 && @.size() <= 10000 && !exists(@[*] ? (!exists(@ ? (
      @.content.type() == "string"
      && (@.role == "user" || @.role == "system" || @.role == "developer"
        || @.role == "assistant" && (exists(@.tool_calls)) is unknown)
    ))))
  )$path$
$$;
comment on function llmq.is_plain_conversation(jsonb) is 'Internal: whether messages are a good conversation of plain text, without tools. A no says nothing.';

create function llmq.check_messages(messages jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if llmq.is_plain_conversation(messages) then
    return;
  end if;
  if messages @? $path$strict $ ? (
    @.size() > 0 && @.size() <= 10000 && !exists(@[*] ? (!exists(@ ? (
      (@.role == "user" || @.role == "system" || @.role == "developer" || @.role == "assistant"
        || @.role == "tool" && @.tool_call_id.type() == "string")
      && (@.content.type() == "string"
        || @.content.size() > 0 && !exists(@.content[*] ? (!exists(@ ? (
          @.type == "text" && @.text.type() == "string"
          || @.type == "image_url" && @.image_url.url.type() == "string" && @.image_url.url != ""
          || @.type == "file" && (@.file.file_data.type() == "string" || @.file.file_id.type() == "string")
          || @.type == "input_audio" && @.input_audio.type() == "object"
        ))))
        || @.role == "assistant" && @.tool_calls.size() > 0
          && (@.content == null || (exists(@.content)) is unknown || @.content.size() == 0))
      && (@.role != "assistant" || (exists(@.tool_calls)) is unknown || @.tool_calls == null
        || @.tool_calls.type() == "array" && !exists(@.tool_calls[*] ? (!exists(@ ? (
          @.type == "function" && @.id.type() == "string" && @.id != ""
          && @.function.name.type() == "string" && @.function.name != "" && @.function.arguments.type() == "string"
        )))))
    ))))
  )$path$ then
    perform llmq.check_tool_call_ids(messages);
    return;
  end if;
  perform llmq.refuse_messages(messages);
end
$$;
comment on function llmq.check_messages(jsonb) is
$$Internal: messages must be a conversation in OpenAI's chat format, else LQ001 with the place of the first fault.
1 to 10,000 objects with role system, developer, user, assistant or tool, and content: text or parts (text, image_url, file, input_audio). An assistant's tool_calls are {id, type: function, function: {name, arguments}}; a tool message names an earlier call in tool_call_id. Other keys are let through.$$;
