-- What people name things with ends up in logs, channel names and indexes: no control characters, and a length.
create function llmq.check_name(value text, what text, max_length int = 200) returns void
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_max constant int := coalesce(max_length, 200);
  v_control text;
begin
  if length(value) <= v_max and btrim(value) <> '' and value !~ '[\u0001-\u001f\u007f-\u009f]' then
    return;
  end if;
  if value is null then
    perform llmq.raise_invalid(format('%s must not be null', what), 'It is null.', format('Give 1 to %s characters.', v_max));
  elsif btrim(value) = '' then
    perform llmq.raise_invalid(
      format('%s must not be empty', what), format('It has %s characters, all of them spaces.', length(value)),
      format('Give 1 to %s characters.', v_max)
    );
  elsif length(value) > v_max then
    perform llmq.raise_invalid(
      format('%s must be at most %s characters long', what, v_max), format('It has %s.', length(value)),
      'Keep long text in context or messages.'
    );
  end if;
  v_control := substring(value from '[\u0001-\u001f\u007f-\u009f]');
  perform llmq.raise_invalid(
    format('%s must not contain control characters', what),
    format('Character %s is U+%s.', strpos(value, v_control), upper(lpad(to_hex(ascii(v_control)), 4, '0'))),
    'Remove line breaks, tabs and the like.'
  );
end
$$;
comment on function llmq.check_name(text, text, int) is
$$Internal: a name must be there, not blank, without control characters and at most max_length characters long, else LQ001.
what: how the error calls it, for example agent_id.$$;
