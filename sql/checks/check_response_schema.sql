-- The path visits every object of the document, also those that are no schemas (a property called "type", the
-- values of an enum), and sees too many faults rather than too few: what it suspects is looked at again, schema
-- by schema, by llmq.refuse_response_schema(). How to read it: see llmq.check_messages().
--
-- The size is that of the JSON text. An uncompressed jsonb is about as long, so the text is written out only for
-- a compressed or a big one.
create function llmq.check_response_schema(response_schema jsonb) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if response_schema is null then
    return;
  end if;
  if (pg_column_size(response_schema) <= 100000 and pg_column_compression(response_schema) is null)
    or octet_length(response_schema::text) <= 262144
  then
    if (jsonb_typeof(response_schema) = 'object' and not response_schema @? 'strict $.**{65}' and not response_schema @? $path$strict $.** ? (
      @.type() == "object" && (
        exists(@.type) && !exists(@.type ? (
          @ == "object" || @ == "string" || @ == "array" || @ == "number" || @ == "integer" || @ == "boolean" || @ == "null"
          || @.size() > 0 && !exists(@[*] ? (!exists(@ ? (
            @ == "object" || @ == "string" || @ == "array" || @ == "number" || @ == "integer" || @ == "boolean" || @ == "null"
          ))))
        ))
        || exists(@.properties) && !exists(@.properties ? (
          @.type() == "object" && !exists(@.* ? (@.type() != "object" && @.type() != "boolean"))
        ))
        || exists(@.required) && !exists(@.required ? (@.type() == "array" && !exists(@[*] ? (@.type() != "string"))))
        || exists(@."$ref") && !exists(@."$ref" ? (@ starts with "#"))
        || exists(@.items) && !exists(@.items ? (@.type() == "object" || @.type() == "boolean"))
        || exists(@.anyOf) && !exists(@.anyOf ? (@.size() > 0 && !exists(@[*] ? (@.type() != "object" && @.type() != "boolean"))))
        || exists(@.oneOf) && !exists(@.oneOf ? (@.size() > 0 && !exists(@[*] ? (@.type() != "object" && @.type() != "boolean"))))
        || exists(@.allOf) && !exists(@.allOf ? (@.size() > 0 && !exists(@[*] ? (@.type() != "object" && @.type() != "boolean"))))
        || exists(@."$defs") && !exists(@."$defs" ? (@.type() == "object" && !exists(@.* ? (@.type() != "object" && @.type() != "boolean"))))
      )
    )$path$) or response_schema in ('true', 'false', 'null') then
      return;
    end if;
  end if;
  perform llmq.refuse_response_schema(response_schema);
end
$$;
comment on function llmq.check_response_schema(jsonb) is
$$Internal: response_schema must be null, true, false or a JSON Schema object, else LQ001 with the place of the first fault.
At most 256 kB and 64 levels deep; $ref only within the schema ("#..."); type, properties, required, items, anyOf, oneOf, allOf and $defs in their right shape, in every schema reached through them. Everything else in it is for the validator.$$;
