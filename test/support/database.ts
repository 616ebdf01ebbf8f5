import { randomUUID } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import { databaseUrl } from "../../src/database/embedded.ts";
import type { TestServer } from "./global-setup.ts";

export type TestDatabaseOptions = {
  /** Without the schema and without pgmq: for tests of migrations. */
  empty?: boolean;
};

/** A database of one test file's own. */
export type TestDatabase = TestServer & {
  /** Connections made with it have an empty `search_path`. */
  url: string;
  name: string;
  /** A pool; closed by `drop`. */
  pool(options?: pg.PoolConfig): pg.Pool;
  /** A connection of its own, open, for locks and transactions; closed by `drop`. */
  connect(options?: pg.ClientConfig): Promise<pg.Client>;
  /** Runs one statement (or, without values, several) and answers the rows. */
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
  /** Closes everything above and removes the database, whoever else is connected. */
  drop(): Promise<void>;
};

/** The server of this run. */
export function testServer(): TestServer {
  const server = inject("testServer");
  if ("failure" in server) throw new Error(`there is no database for tests: ${server.failure}`);
  return server;
}

/** Copies the template, which takes some 50 ms. Call it in `beforeAll`, and `drop()` in `afterAll`. */
export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const server = testServer();
  const name = `llmq_test_${randomUUID().replaceAll("-", "")}`;
  await administrate(
    server,
    `create database ${name} template ${options.empty ? "template0" : server.template}`,
  );
  const url = withEmptySearchPath(databaseUrl(server.url, name));
  const open: { end(): Promise<void> }[] = [];
  const pool = (config: pg.PoolConfig = {}) => {
    const made = new pg.Pool({ connectionString: url, max: 10, ...config });
    // Tests end connections on purpose; whoever runs a query then sees the error.
    made.on("error", () => undefined);
    open.push(made);
    return made;
  };
  const connect = async (config: pg.ClientConfig = {}) => {
    const client = new pg.Client({ connectionString: url, ...config });
    client.on("error", () => undefined);
    open.push(client);
    await client.connect();
    return client;
  };
  let own: pg.Pool | undefined;
  return {
    ...server,
    url,
    name,
    pool,
    connect,
    query: async (text, values) => {
      own ??= pool({ max: 4 });
      return (await own.query(text, values)).rows;
    },
    drop: async () => {
      await administrate(server, `drop database if exists ${name} with (force)`);
      // A pool's end() waits for connections that a failed test never gave back: their server side is gone.
      const ended = Promise.allSettled(open.map((one) => one.end()));
      await Promise.race([ended, new Promise((wake) => setTimeout(wake, 2_000).unref())]);
    },
  };
}

/** Names must be qualified: a test that passes by way of `search_path` would prove nothing. */
export function withEmptySearchPath(url: string): string {
  const parsed = new URL(url);
  parsed.searchParams.set("options", "-c search_path=");
  // node-postgres does not read `+` as a space.
  return parsed.href.replaceAll("+", "%20");
}

async function administrate(server: TestServer, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
