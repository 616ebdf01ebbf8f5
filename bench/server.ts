/**
 * The server that is measured: an embedded one of this run's own with fsync on, or BENCH_DATABASE_URL. The
 * schema comes from `sql/`, so that a change can be measured before it is a migration.
 */
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { readSqlSources, root } from "../scripts/sql-sources.ts";
import { databaseUrl, startEmbeddedPostgres } from "../src/database/embedded.ts";

/** A database with llmq, the pgmq copy on, one model on the route, and the peer's queue `peer`. */
export type BenchDatabase = {
  url: string;
  /** An open connection; closed by `drop`. */
  connect(): Promise<pg.Client>;
  connectAll(count: number): Promise<pg.Client[]>;
  drop(): Promise<void>;
};

export type BenchServer = {
  /** What the figures depend on: version, settings, and milliseconds of one commit. */
  facts: Record<string, string | number>;
  createDatabase(): Promise<BenchDatabase>;
  stop(): Promise<void>;
};

const TEMPLATE = "llmq_bench_template";

export async function startBenchServer(): Promise<BenchServer> {
  const { url, stop } = process.env.BENCH_DATABASE_URL
    ? { url: process.env.BENCH_DATABASE_URL, stop: async () => undefined }
    : await startOwnServer();
  try {
    const admin = await connect(databaseUrl(url, "postgres"));
    await installTemplate(admin, url);
    const databases = createDatabases(admin, url);
    return {
      facts: await serverFacts(admin),
      createDatabase: databases.create,
      async stop() {
        await databases.dropAll();
        await admin.query(`drop database if exists ${TEMPLATE} with (force)`);
        await admin.end();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Beside the clone and not under /tmp, which may be memory, where fsync costs nothing. */
async function startOwnServer(): Promise<{ url: string; stop(): Promise<void> }> {
  await mkdir(join(root, ".llmq"), { recursive: true });
  const directory = await mkdtemp(join(root, ".llmq", "bench-"));
  // Run by root, the server is somebody else and has to get in.
  await chmod(directory, 0o755);
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    const log = { debug: () => {}, info: () => {}, warn: console.warn };
    const server = await startEmbeddedPostgres({ dataDir: join(directory, "postgres"), log, fsync: true });
    return { url: server.url, stop: () => server.stop().finally(remove) };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function installTemplate(admin: pg.Client, url: string): Promise<void> {
  await admin.query(`drop database if exists ${TEMPLATE} with (force)`);
  await admin.query(`create database ${TEMPLATE}`);
  const client = await connect(databaseUrl(url, TEMPLATE));
  await client.query("create extension if not exists pgmq");
  await client.query(await readSqlSources());
  await client.query("select llmq.enable_pgmq(), llmq.ensure_partitions(), pgmq.create('peer')");
  await client.query(
    "select llmq.configure_provider('sim', 'sim'), llmq.configure_model('model', 'sim', 'model')",
  );
  await client.query("select llmq.configure_route('*', array['model'])");
  await client.end();
}

function createDatabases(admin: pg.Client, url: string) {
  const open = new Map<string, pg.Client[]>();
  let made = 0;
  const drop = async (name: string) => {
    await Promise.allSettled((open.get(name) ?? []).map((client) => client.end()));
    open.delete(name);
    await admin.query(`drop database if exists ${name} with (force)`);
  };
  return {
    async create(): Promise<BenchDatabase> {
      const name = `llmq_bench_${process.pid}_${++made}`;
      open.set(name, []);
      await admin.query(`create database ${name} template ${TEMPLATE}`);
      const databaseAt = databaseUrl(url, name);
      const connectOne = async () => {
        const client = await connect(databaseAt);
        open.get(name)?.push(client);
        return client;
      };
      return {
        url: databaseAt,
        connect: connectOne,
        connectAll: (count) => Promise.all(Array.from({ length: count }, connectOne)),
        drop: () => drop(name),
      };
    },
    async dropAll() {
      for (const name of [...open.keys()]) await drop(name);
    },
  };
}

/** Answers stay text: parsing JSON would be the driver's work, on both sides. */
async function connect(connectionString: string): Promise<pg.Client> {
  const types = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;
  const client = new pg.Client({ connectionString, types, application_name: "llmq bench" });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

async function serverFacts(admin: pg.Client): Promise<Record<string, string | number>> {
  const { rows } = await admin.query<{ name: string; setting: string }>(
    "select name, setting from pg_settings where name in " +
      "('server_version', 'fsync', 'synchronous_commit', 'shared_buffers', 'max_wal_size', 'wal_level')",
  );
  const times: number[] = [];
  for (let n = 0; n < 50; n++) {
    const startedAt = performance.now();
    // The smallest transaction that has something to flush.
    await admin.query("select pg_logical_emit_message(true, 'llmq bench', 'x')");
    times.push(performance.now() - startedAt);
  }
  const commit = times.toSorted((a, b) => a - b)[25] ?? 0;
  return {
    ...Object.fromEntries(rows.map((row) => [row.name, row.setting])),
    commit_ms: Number(commit.toFixed(2)),
  };
}
