create table llmq.settings (
  name        text primary key,
  value       jsonb not null,
  description text not null,
  -- What one of them may be is in its description.
  constraint settings_value check (llmq.is_setting(name, value))
);
comment on table llmq.settings is
  'One row per setting; a DBA edits the values, every process sees them with its next statement. Change one with update llmq.settings set value = ... where name = ....';
comment on column llmq.settings.value is 'JSON: a number, true or false, or text in double quotes; intervals are text, "5 minutes". Its description says which, and from where to where.';
