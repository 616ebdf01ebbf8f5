create table llmq.settings (
  name        text primary key,
  value       jsonb not null,
  description text not null,
  constraint settings_known_pgmq_payload check (name <> 'pgmq_payload' or value in ('"reference"', '"full"'))
);
comment on table llmq.settings is
  'One row per setting; a DBA edits the values, every process sees them with its next statement. Change one with update llmq.settings set value = ... where name = ....';
comment on column llmq.settings.value is 'JSON: a number, true or false, or text in double quotes; intervals are text, "5 minutes".';
