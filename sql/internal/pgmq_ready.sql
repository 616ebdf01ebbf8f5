-- The copy is on when the setting is and the extension is (still) there: dropping pgmq never stops a submit.
create function llmq.pgmq_ready() returns boolean
language sql stable
as $$
  select coalesce((select (s.value)::boolean from llmq.settings as s where s.name = 'pgmq'), false)
     and to_regclass('pgmq.q_llm_requests') is not null
     -- Dropping the extension leaves the queues' tables behind, but not this one.
     and to_regclass('pgmq.meta') is not null
$$;
comment on function llmq.pgmq_ready() is 'Whether requests are copied to the pgmq queue llm_requests (see llmq.enable_pgmq()).';
