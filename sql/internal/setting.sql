create function llmq.setting(name text) returns jsonb
language sql stable parallel safe
as $$ select s.value from llmq.settings as s where s.name = setting.name $$;
comment on function llmq.setting(text) is 'Value of one row of llmq.settings; null when there is none.';
