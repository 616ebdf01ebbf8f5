/** The server: version, clock, connections, and what keeps vacuum from its work. */
import { counted, duration } from "../format.ts";
import { type Check, fail, ok, oneRow, type Result, warn } from "./finding.ts";

const OLDEST_MAJOR = 14;
const NEWEST_TESTED_MAJOR = 18;

const version: Check = {
  name: "server version",
  needsSchema: false,
  async run({ client }) {
    const { number, text } = await oneRow<{ number: number; text: string }>(
      client,
      "select current_setting('server_version_num')::int as number, current_setting('server_version') as text",
    );
    const major = Math.floor(number / 10_000);
    if (major < OLDEST_MAJOR)
      return fail(`PostgreSQL ${text}; llmq needs 14 or newer`, "Upgrade the server.");
    if (major > NEWEST_TESTED_MAJOR) {
      return warn(`PostgreSQL ${text}; llmq is tested with 14 to 18`, "Try it elsewhere first.");
    }
    return ok(`PostgreSQL ${text}`);
  },
};

const MAX_SKEW_MS = 5_000;

const clock: Check = {
  name: "clocks",
  needsSchema: false,
  async run({ client }) {
    const before = Date.now();
    const { ms } = await oneRow<{ ms: number }>(
      client,
      "select extract(epoch from clock_timestamp())::float8 * 1000 as ms",
    );
    const roundTripMs = Date.now() - before;
    const skewMs = ms - before - roundTripMs / 2;
    const size = duration(Math.abs(skewMs));
    if (Math.abs(skewMs) - roundTripMs / 2 > MAX_SKEW_MS) {
      return warn(
        `the server's clock is ${size} ${skewMs > 0 ? "ahead of" : "behind"} this machine's`,
        "Run a time service (NTP) on both: deadlines go by the server's clock, the times of calls by this one's.",
      );
    }
    return ok(`server and this machine agree within ${size}`);
  },
};

type Connections = { used: number; allowed: number };

/** The smallest of the limits that apply: server, database, role. */
const CONNECTIONS = `
with room as (
  select sum(s.numbackends)::int as used,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as allowed
  from pg_catalog.pg_stat_database as s
  union all
  select s.numbackends, d.datconnlimit
  from pg_catalog.pg_database as d join pg_catalog.pg_stat_database as s on s.datid = d.oid
  where d.datname = current_database() and d.datconnlimit >= 0
  union all
  select (select count(*) from pg_catalog.pg_stat_activity as a where a.usename = current_user)::int, r.rolconnlimit
  from pg_catalog.pg_roles as r
  where r.rolname = current_user and r.rolconnlimit >= 0
)
select used, allowed from room order by allowed - used limit 1`;

const connections: Check = {
  name: "connections",
  needsSchema: false,
  async run({ client, config }) {
    const { used, allowed } = await oneRow<Connections>(client, CONNECTIONS);
    const needed = config.poolSize + 1;
    const free = Math.max(allowed - used, 0);
    const message = `${free} of ${allowed} are free; an orchestrator uses up to ${needed}`;
    if (free >= 2 * needed) return ok(message);
    return warn(
      message,
      "Raise max_connections, lower LLMQ_POOL_SIZE, or put a pooler (PgBouncer) in between.",
    );
  },
};

type Holder = { kind: "transaction" | "prepared" | "slot"; name: string; seconds: number };

/** Whatever keeps dead rows from being removed; others' transactions are seen as far as this role may. */
const HOLDERS = `
select 'transaction' as kind,
  concat_ws(', ', 'pid ' || a.pid, a.usename, nullif(a.application_name, ''), a.state) as name,
  extract(epoch from clock_timestamp() - a.xact_start)::float8 as seconds
from pg_catalog.pg_stat_activity as a
where a.datname = current_database() and a.pid <> pg_backend_pid()
  and (a.backend_xmin is not null or a.backend_xid is not null)
  and a.xact_start < clock_timestamp() - interval '5 minutes'
union all
select 'prepared', p.gid, extract(epoch from clock_timestamp() - p.prepared)::float8
from pg_catalog.pg_prepared_xacts as p
where p.database = current_database() and p.prepared < clock_timestamp() - interval '5 minutes'
union all
select 'slot', s.slot_name, 0
from pg_catalog.pg_replication_slots as s
where greatest(age(s.xmin), age(s.catalog_xmin)) > 1000000
order by seconds desc
limit 5`;

const snapshots: Check = {
  name: "old snapshots",
  needsSchema: false,
  async run({ client }) {
    const { rows } = await client.query<Holder>(HOLDERS);
    if (rows.length === 0) return ok("no transaction older than 5 minutes holds back vacuum");
    return rows.map(holderFinding);
  },
};

function holderFinding({ kind, name, seconds }: Holder): Result {
  switch (kind) {
    case "transaction":
      return warn(
        `a transaction has been open for ${duration(seconds * 1000)} (${name})`,
        "Dead rows stay until it ends: find out why it is open, or end it with pg_terminate_backend(pid).",
      );
    case "prepared":
      return warn(
        `the prepared transaction ${name} is ${duration(seconds * 1000)} old`,
        "Commit it or roll it back: commit prepared '...', rollback prepared '...'.",
      );
    case "slot":
      return warn(
        `the replication slot ${name} holds back vacuum by over a million transactions`,
        "Bring its consumer back, or drop the slot: select pg_drop_replication_slot('...').",
      );
  }
}

type Vacuum = { autovacuum: boolean; off_for: string[]; dead: number; live: number; last: Date | null };

const VACUUM = `
select current_setting('autovacuum')::bool and current_setting('track_counts')::bool as autovacuum,
  array(
    select c.oid::regclass::text from pg_catalog.pg_class as c
    where c.relnamespace = (select n.oid from pg_catalog.pg_namespace as n where n.nspname = 'llmq')
      and 'autovacuum_enabled=false' = any (c.reloptions)
  ) as off_for,
  coalesce(sum(s.n_dead_tup), 0)::float8 as dead, coalesce(sum(s.n_live_tup), 0)::float8 as live,
  max(greatest(s.last_autovacuum, s.last_vacuum)) as last
from pg_catalog.pg_stat_all_tables as s
where s.schemaname = 'llmq' and s.relname in ('queue', 'in_flight')`;

/** Autovacuum begins at 2,000 (the table's own setting); ten times that means that it does not keep up. */
const MANY_DEAD = 20_000;

const vacuum: Check = {
  name: "autovacuum",
  needsSchema: true,
  async run({ client }) {
    const found = await oneRow<Vacuum>(client, VACUUM);
    if (!found.autovacuum) {
      return fail(
        "autovacuum is off on this server",
        "Set autovacuum = on and track_counts = on: a queue lives by it.",
      );
    }
    if (found.off_for.length > 0) {
      return fail(
        `autovacuum is off for ${found.off_for.join(", ")}`,
        "alter table ... reset (autovacuum_enabled);",
      );
    }
    const dead = `${counted(found.dead, "dead row")} in llmq.queue and llmq.in_flight`;
    if (found.dead > Math.max(MANY_DEAD, found.live)) {
      return warn(
        `${dead}, last vacuumed ${found.last?.toISOString() ?? "never"}`,
        "Look for old snapshots (above), and run: vacuum (verbose) llmq.queue, llmq.in_flight;",
      );
    }
    return ok(`on; ${dead}`);
  },
};

export const serverChecks: Check[] = [version, clock, connections, snapshots];
export const vacuumChecks: Check[] = [vacuum];
