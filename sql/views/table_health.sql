create view llmq.table_health as
select
  coalesce(p.relname, c.relname) as table_name,
  count(*) as parts,
  sum(s.n_live_tup)::bigint as live_rows,
  sum(s.n_dead_tup)::bigint as dead_rows,
  sum(pg_total_relation_size(c.oid))::bigint as total_bytes,
  max(s.last_autovacuum) as last_autovacuum,
  max(s.last_autoanalyze) as last_autoanalyze
from pg_class as c
join pg_stat_user_tables as s on s.relid = c.oid
left join pg_inherits as i on i.inhrelid = c.oid
left join pg_class as p on p.oid = i.inhparent
where c.relnamespace = 'llmq'::regnamespace and c.relkind = 'r'
group by 1;
comment on view llmq.table_health is 'How large is each table, how many dead rows has it, and when was it vacuumed? Partitions count for their table.';
comment on column llmq.table_health.table_name is 'Without the schema llmq.';
comment on column llmq.table_health.parts is 'Partitions, the default one included; 1 for a plain table.';
comment on column llmq.table_health.dead_rows is 'As the server estimates it, as live_rows.';
comment on column llmq.table_health.total_bytes is 'With indexes and TOAST.';
