-- What requests leave behind elsewhere: archived pgmq copies and read messages of the inbox. Unread ones, and
-- what was set aside, are somebody's to look at and stay.
create function llmq.cleanup_messages(before timestamptz, max_rows int) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from llmq.inbox as i
  where i.id = any (array(select o.id from llmq.inbox as o where o.read_at < before order by o.id limit max_rows));
  if llmq.pgmq_ready() then
    delete from pgmq.a_llm_requests as a
    where a.msg_id = any (array(
      select o.msg_id from pgmq.a_llm_requests as o where o.archived_at < before order by o.msg_id limit max_rows
    ));
  end if;
end
$$;
comment on function llmq.cleanup_messages(timestamptz, int) is 'Internal: removes archived copies and read inbox messages older than a moment, at most max_rows of each.';
