create function llmq.check_reply_to(reply_to text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  perform llmq.check_name(reply_to, 'reply_to');
  if to_regclass('pgmq.meta') is null then
    raise exception using errcode = 'LQ006', message = 'reply_to needs the extension pgmq',
      hint = 'create extension pgmq; select llmq.enable_pgmq(); or wait for the answer with llmq.wait_for_llm_request().';
  end if;
  if to_regclass(format('pgmq.%I', 'q_' || lower(reply_to))) is null then
    raise exception using errcode = 'LQ006', message = format('pgmq queue %s does not exist', quote_literal(reply_to)),
      hint = format('select pgmq.create(%L);', reply_to);
  end if;
end
$$;
comment on function llmq.check_reply_to(text) is 'Internal: refuses a reply_to that is no pgmq queue (LQ006).';
