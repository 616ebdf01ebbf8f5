import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Logger } from "graphile-migrate";
import migration from "graphile-migrate/dist/migration.js";
import settings from "graphile-migrate/dist/settings.js";
import pg from "pg";
import type { SetupLog } from "./embedded.ts";
import { asMigrationError, connectionFailure, MigrationError } from "./migrate-error.ts";
import { checkHistory, readHistory, verifyHistory } from "./migration-history.ts";
import { schemaVersion } from "./schema-version.ts";

export { MigrationError, type MigrationErrorCode } from "./migrate-error.ts";

export type MigrateOptions = {
  /** A direct or session-pooled connection, as a role that may create schemas. Not PgBouncer's transaction mode. */
  connectionString: string;
  log: SetupLog;
  /** Holds `committed/`; the package's own by default. */
  migrationsFolder?: string;
  /** How long to wait for another process that is migrating. Default 10 minutes. */
  lockTimeoutMs?: number;
  signal?: AbortSignal;
};

export type Migrated = {
  /** File names run by this call, in order. */
  applied: string[];
  /** True when there was nothing to run. */
  alreadyCurrent: boolean;
  /** Whether pgmq is installed, so that submitted requests are copied to it. */
  pgmq: boolean;
};

const ownFolder = fileURLToPath(new URL("../../migrations", import.meta.url));
/** graphile-migrate's own advisory lock, so that its command line waits for us as well. */
const migrationLock = "4727445306447283";

/**
 * Brings the schema `llmq` up to date with the migrations graphile-migrate committed. Safe to run from many
 * places at once: one works, the others wait and find it done. Needs no superuser.
 *
 * Of graphile-migrate the parser, the hashes, and the runner are used, on a connection of ours: its `migrate()`
 * opens a pool of its own that ends the process when a connection breaks. These are not its public entry
 * points, which is why the version is pinned.
 *
 * @throws MigrationError for everything that can go wrong.
 */
export async function migrate(options: MigrateOptions): Promise<Migrated> {
  const client = new pg.Client({
    connectionString: options.connectionString,
    application_name: "llmq migrate",
    connectionTimeoutMillis: 15_000,
    keepAlive: true,
  });
  // Without a listener a lost connection ends the process.
  let lost: Error | undefined;
  client.on("error", (error) => {
    lost ??= error;
  });
  try {
    await client.connect().catch((error: unknown) => {
      throw connectionFailure(error);
    });
    return await migrateOn(client, options);
  } catch (error) {
    if (error instanceof MigrationError) throw error;
    throw lost ? connectionFailure(lost) : asMigrationError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function migrateOn(client: pg.Client, options: MigrateOptions): Promise<Migrated> {
  await prepareSession(client);
  const database = await describeDatabase(client);
  const { parsed, ours } = await readMigrations(database, options);
  await takeLock(client, options);
  await checkHistory(client, ours);
  const done = await readHistory(client);
  const todo = ours.slice(done?.length ?? 0);
  // The runner asks for a pool's client and never releases it.
  const runner = Object.assign(client, { release: () => undefined });
  if (todo.length > 0) await migration._migrateMigrationSchema(runner, parsed);
  for (const next of todo) {
    await migration.runCommittedMigration(runner, parsed, { database: database.name }, next, "");
    options.log.info({ migration: next.filename }, "migration applied");
  }
  await verifyHistory(client, ours);
  await verifyVersion(client);
  const pgmq = await enablePgmq(client, options.log);
  await client.query("select llmq.ensure_partitions()");
  return { applied: todo.map((one) => one.filename), alreadyCurrent: todo.length === 0, pgmq };
}

/**
 * Whatever the role's own settings are: names are qualified, no statement runs for ever, and none waits long
 * behind an application's lock while everything else queues up behind it.
 */
async function prepareSession(client: pg.Client): Promise<void> {
  await client.query(
    "select set_config('search_path', '', false), set_config('statement_timeout', '30min', false), " +
      "set_config('lock_timeout', '30s', false), set_config('idle_in_transaction_session_timeout', '5min', false), " +
      "set_config('client_min_messages', 'warning', false)",
  );
}

type Database = { name: string; role: string; version: number; may_create: boolean };

async function describeDatabase(client: pg.Client): Promise<Database> {
  const { rows } = await client.query<Database>(
    "select current_database() as name, current_user as role, " +
      "current_setting('server_version_num')::int / 10000 as version, " +
      "has_database_privilege(current_database(), 'create') as may_create",
  );
  const database = rows[0];
  if (!database) throw new Error("the server described no database");
  if (database.version < 14) {
    throw new MigrationError(
      "unsupported_server",
      `this is PostgreSQL ${database.version}; llmq works with 14 to 18`,
      "Upgrade the server.",
    );
  }
  if (!database.may_create) {
    throw new MigrationError(
      "insufficient_privilege",
      `the role ${database.role} may not create schemas in the database ${database.name}`,
      `As the owner: grant create on database "${database.name}" to "${database.role}". Or migrate as the owner.`,
    );
  }
  return database;
}

async function readMigrations(database: Database, options: MigrateOptions) {
  const level = (name: string) => (name === "error" || name === "warning" ? "warn" : "debug");
  const parsed = await settings.parseSettings({
    // Never connected to: names the database and its owner for graphile-migrate's placeholders.
    connectionString: `postgres://${encodeURIComponent(database.role)}@localhost/${encodeURIComponent(database.name)}`,
    rootConnectionString: "postgres:///template1",
    migrationsFolder: options.migrationsFolder ?? ownFolder,
    logger: new Logger(() => (severity, message) => options.log[level(severity)]({}, message)),
  });
  const ours = await migration.getAllMigrations(parsed);
  if (ours.length === 0) throw new Error(`there is no migration in ${parsed.migrationsFolder}/committed`);
  return { parsed, ours };
}

/**
 * Looked at again and again instead of waited for: a session that waits in `pg_advisory_lock` holds a snapshot,
 * and `create index concurrently` in the process that works would wait for it in turn.
 */
async function takeLock(client: pg.Client, options: MigrateOptions): Promise<void> {
  const deadline = Date.now() + (options.lockTimeoutMs ?? 600_000);
  for (let told = false; ; told = true) {
    const { rows } = await client.query<{ locked: boolean }>("select pg_try_advisory_lock($1) as locked", [
      migrationLock,
    ]);
    if (rows[0]?.locked) return;
    if (!told) options.log.info({}, "another process is migrating this database; waiting for it");
    if (Date.now() > deadline) {
      throw new MigrationError(
        "lock_timeout",
        "another process has been migrating this database all the time",
        `Find it: select * from pg_locks where locktype = 'advisory' and granted (key ${migrationLock}).`,
      );
    }
    await sleep(100, undefined, options.signal ? { signal: options.signal } : {});
  }
}

async function verifyVersion(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: number }>("select llmq.schema_version() as version");
  if (rows[0]?.version === schemaVersion) return;
  throw new MigrationError(
    "verification_failed",
    `the schema says it has version ${rows[0]?.version}, this program needs ${schemaVersion}`,
    "The program and its migrations are from different releases: install llmq again.",
  );
}

/**
 * pgmq is installed by the DBA (or by the embedded server), never here: it is theirs to decide. So is a copy that
 * is off beside a queue `llm_requests`: it was turned off, or the queue is somebody else's.
 */
async function enablePgmq(client: pg.Client, log: SetupLog): Promise<boolean> {
  const { rows } = await client.query<{ installed: boolean; available: boolean }>(
    "select exists (select from pg_extension where extname = 'pgmq') as installed, " +
      "exists (select from pg_available_extensions where name = 'pgmq') as available",
  );
  if (rows[0]?.installed) {
    const off = await client.query(
      "select from llmq.settings where name = 'pgmq' and value = 'false' and to_regclass('pgmq.q_llm_requests') is not null",
    );
    if (off.rowCount === 0) {
      await client.query("select llmq.enable_pgmq()");
      return true;
    }
    log.info(
      {},
      "requests are not copied to the pgmq queue llm_requests; to do so: select llmq.enable_pgmq()",
    );
    return false;
  }
  if (rows[0]?.available) {
    log.info({}, "pgmq is available and not used: run `create extension pgmq`, then `llmq migrate` again");
  }
  return false;
}
