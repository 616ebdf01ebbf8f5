create function llmq.refuse_content_part(part jsonb, place text) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_hint constant text := 'Parts: {"type": "text", "text": ...}, {"type": "image_url", "image_url": {"url": ...}}, '
    '{"type": "file", "file": {"file_data": ...}}, {"type": "input_audio", "input_audio": {...}}.';
begin
  if jsonb_typeof(part) <> 'object' then
    perform llmq.raise_invalid(format('%s must be an object', place), llmq.describe_value(part), v_hint);
  end if;
  case (case when jsonb_typeof(part -> 'type') = 'string' then part ->> 'type' end)
    when 'text' then
      if jsonb_typeof(part -> 'text') is distinct from 'string' then
        perform llmq.raise_invalid(format('%s.text must be a string', place), llmq.describe_value(part -> 'text'), v_hint);
      end if;
    when 'image_url' then
      if jsonb_typeof(part -> 'image_url') is distinct from 'object' then
        perform llmq.raise_invalid(format('%s.image_url must be an object', place), llmq.describe_value(part -> 'image_url'), v_hint);
      elsif jsonb_typeof(part #> '{image_url,url}') is distinct from 'string' or part #> '{image_url,url}' = '""' then
        perform llmq.raise_invalid(
          format('%s.image_url.url must be a non-empty string', place), llmq.describe_value(part #> '{image_url,url}'),
          'An https: or data: URL.'
        );
      end if;
    when 'file' then
      if jsonb_typeof(part -> 'file') is distinct from 'object' then
        perform llmq.raise_invalid(format('%s.file must be an object', place), llmq.describe_value(part -> 'file'), v_hint);
      elsif jsonb_typeof(part #> '{file,file_data}') is distinct from 'string'
        and jsonb_typeof(part #> '{file,file_id}') is distinct from 'string'
      then
        perform llmq.raise_invalid(
          format('%s.file must have file_data or file_id, a string', place),
          format('It has %s.', coalesce((select string_agg(k.key, ', ') from jsonb_object_keys(part -> 'file') as k (key)), 'no keys')),
          'file_data is a data: URL; file_id names an uploaded file.'
        );
      end if;
    when 'input_audio' then
      if jsonb_typeof(part -> 'input_audio') is distinct from 'object' then
        perform llmq.raise_invalid(format('%s.input_audio must be an object', place), llmq.describe_value(part -> 'input_audio'), v_hint);
      end if;
    else
      perform llmq.raise_invalid(
        format('%s.type must be text, image_url, file or input_audio', place), llmq.describe_value(part -> 'type'), v_hint
      );
  end case;
end
$$;
comment on function llmq.refuse_content_part(jsonb, text) is 'Internal: raises LQ001 when a part of a message''s content has not the shape of its type.';
