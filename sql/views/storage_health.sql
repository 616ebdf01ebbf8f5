-- What keeps dead rows from being removed: the oldest snapshot (or transaction with a number) of a session of this
-- database, a standby, a replication slot or a prepared transaction. Anybody may see pid, application and age of all;
-- since when, only members of pg_read_all_stats.
create view llmq.storage_health as
select
  q.n_dead_tup as queue_dead_rows,
  q.n_live_tup as queue_live_rows,
  q.last_autovacuum as queue_last_autovacuum,
  h.kind as snapshot_holder, h.pid as snapshot_pid, h.application as snapshot_application, h.role as snapshot_role,
  h.age as snapshot_age, h.since as snapshot_since,
  p.ahead as partitions_ahead, p.behind as partitions_behind, p.oldest as oldest_partition,
  (
    select count(*)
    from (
      (select from llmq.requests_default limit 1000)
      union all (select from llmq.results_default limit 1000)
      union all (select from llmq.attempts_default limit 1000)
    ) as d
  ) as default_partition_rows,
  pg_notification_queue_usage() as notification_queue_use,
  (
    select jsonb_object_agg(l.mode, l.workers)
    from (
      select w.info ->> 'listener' as mode, count(*) as workers
      from llmq.workers as w
      where w.heartbeat_at > clock_timestamp() - w.lost_after and w.info ? 'listener'
      group by 1
    ) as l
  ) as listeners
from (select min(w.ahead)::int as ahead, max(w.behind)::int as behind, min(w.oldest) as oldest from (
  select
    count(*) filter (where s.week > now()) as ahead,
    count(*) filter (where s.week <= now() - interval '168 hours') as behind,
    min(s.week)::date as oldest
  from pg_inherits as i
  join pg_class as c on c.oid = i.inhrelid
  cross join lateral (
    select to_date(substring(c.relname from '_(\d{8})$'), 'YYYYMMDD')::timestamp at time zone 'UTC'
  ) as s (week)
  where i.inhparent in ('llmq.requests'::regclass, 'llmq.results'::regclass, 'llmq.attempts'::regclass)
  group by i.inhparent
) as w) as p
cross join (
  select sum(s.n_dead_tup)::bigint as n_dead_tup, sum(s.n_live_tup)::bigint as n_live_tup, max(s.last_autovacuum) as last_autovacuum
  from pg_stat_user_tables as s
  where s.relid in ('llmq.queue'::regclass, 'llmq.in_flight'::regclass)
) as q
left join lateral (
  select o.*
  from (
    select
      case when a.datid is null then 'standby' else 'session' end as kind, a.pid, a.application_name as application,
      a.usename as role, a.xact_start as since, greatest(age(a.backend_xmin), age(a.backend_xid)) as age
    from pg_stat_activity as a
    where a.pid <> pg_backend_pid()
      and (a.datid is null or a.datname = current_database())
      and a.backend_type is distinct from 'autovacuum worker'
    union all
    select 'prepared transaction', null, x.gid, x.owner, x.prepared, age(x.transaction)
    from pg_prepared_xacts as x
    where x.database = current_database()
    union all
    select 'replication slot', s.active_pid, s.slot_name, null, null, age(s.xmin)
    from pg_replication_slots as s
  ) as o (kind, pid, application, role, since, age)
  where o.age is not null
  order by o.age desc, o.since
  limit 1
) as h on true;
comment on view llmq.storage_health is
  'Is the storage well: dead rows of queue and in_flight, who keeps them, partitions, notifications? One row; llmq.table_health has every table.';
comment on column llmq.storage_health.queue_dead_rows is 'Of llmq.queue and llmq.in_flight together, as the server estimates it. A few thousand are normal; hundreds of thousands mean an old snapshot, or autovacuum is off.';
comment on column llmq.storage_health.snapshot_holder is 'Who holds the oldest snapshot: session, standby, prepared transaction or replication slot; null: nobody.';
comment on column llmq.storage_health.snapshot_application is 'Its application_name, or the name of the prepared transaction or slot.';
comment on column llmq.storage_health.snapshot_age is 'In transactions since: 0 or little is normal.';
comment on column llmq.storage_health.snapshot_since is 'When its transaction began; null for other roles'' sessions, unless the reader is a member of pg_read_all_stats.';
comment on column llmq.storage_health.partitions_ahead is 'Weeks to come that have a partition in each of requests, results and attempts: 4 as a rule.';
comment on column llmq.storage_health.partitions_behind is 'Past weeks that are kept.';
comment on column llmq.storage_health.oldest_partition is 'Monday of the oldest week that is kept.';
comment on column llmq.storage_health.default_partition_rows is 'Rows that no week took, counted to 1,000 per table; 0 as a rule. llmq.ensure_partitions() moves them.';
comment on column llmq.storage_health.notification_queue_use is '0 to 1, of the whole server: at 1 every commit that notifies fails. It grows while a listening session keeps a transaction open.';
comment on column llmq.storage_health.listeners is '{"listening": 2, "polling": 1}: how the orchestrators that are alive learn of new requests.';
