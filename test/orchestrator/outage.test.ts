import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { readSqlSources } from "../../scripts/sql-sources.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/database/embedded.ts";
import { eventually } from "../support/eventually.ts";
import { startChatServer } from "./chat-server.ts";
import {
  configureHttp,
  configureSim,
  expectConsistent,
  orchestrators,
  request,
  submitMany,
  untilFinished,
} from "./support.ts";

/** A server of this file's own: the others could not do without theirs. */
let directory: string;
let server: EmbeddedPostgres;
const running = orchestrators();

async function start(): Promise<void> {
  server = await startEmbeddedPostgres({
    dataDir: join(directory, "postgres"),
    log: { debug: () => {}, info: () => {}, warn: console.warn },
    fsync: false,
  });
}

/** A connection for each query: none would survive. */
const database = {
  async query<Row extends pg.QueryResultRow = pg.QueryResultRow>(text: string, values?: unknown[]) {
    const client = new pg.Client({ connectionString: server.url });
    client.on("error", () => undefined);
    await client.connect();
    try {
      return (await client.query<Row>(text, values)).rows;
    } finally {
      await client.end();
    }
  },
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "llmq-outage-"));
  await chmod(directory, 0o755);
  await start();
  await database.query(`begin; ${await readSqlSources()}; commit`);
  await database.query("select llmq.ensure_partitions()");
  await configureSim(database);
});
afterEach(() => running.stopAll());
afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

const finishedSoFar = async () =>
  (await database.query("select count(*)::int as n from llmq.results"))[0]?.n as number;

test("Postgres stops while calls are in flight and starts again: every outcome is stored, nothing is called twice", async () => {
  const chat = await startChatServer(() => undefined);
  await configureHttp(database, "http", chat.url);
  const before = await finishedSoFar();
  // Given up after four seconds without a heartbeat: the outage lasts longer, and nobody may be blamed for it.
  const both = await Promise.all([1, 2].map(() => running.start({ url: server.url, batchSize: 5 })));
  await submitMany(
    database,
    Array.from({ length: 40 }, (_, index) =>
      request({ model: "http", messages: [{ role: "user", content: `number ${index}` }] }),
    ),
  );
  await eventually(() => chat.calls.length === 40);
  const heartbeat = Date.now();
  await server.stop();
  for (const call of chat.calls) call.answer(`answer to ${call.said}`);
  await eventually(() => both.reduce((sum, one) => sum + one.orchestrator.stats().unstored, 0) === 40);
  await eventually(() => Date.now() - heartbeat > 4_500);
  await start();
  await untilFinished(database, before + 40);
  expect(chat.calls).toHaveLength(40);
  expect(
    await database.query("select distinct status, calls, crashes from llmq.results order by 1, 2, 3"),
  ).toEqual([{ status: "completed", calls: 1, crashes: 0 }]);
  await expectConsistent(database, before + 40);
  for (const { orchestrator } of both) {
    await eventually(() => orchestrator.stats().listenerMode === "listening");
    await eventually(() => orchestrator.stats().unstored === 0);
    expect(orchestrator.stats().inFlight).toBe(0);
  }
  await submitMany(database, [request()]);
  await untilFinished(database, before + 41);
  await running.stopAll();
  await chat.close();
});

test("a stop while Postgres is away comes to its end, and what could not be stored runs again", async () => {
  const chat = await startChatServer(() => undefined);
  await configureHttp(database, "http2", chat.url);
  const before = await finishedSoFar();
  const { orchestrator, lines } = await running.start({ url: server.url, heartbeatIntervalMs: 500 });
  await submitMany(database, [request({ model: "http2" }), request({ model: "http2" })]);
  await eventually(() => chat.calls.length === 2);
  await server.stop();
  chat.calls[0]?.answer("nobody will know");
  await eventually(() => orchestrator.stats().unstored === 1);
  await orchestrator.stop(0);
  await chat.calls[1]?.hungUp;
  expect(lines.some((line) => line.msg.includes("recovery will"))).toBe(true);
  expect(orchestrator.stats()).toMatchObject({ inFlight: 0, unstored: 0 });

  await start();
  await running.start({ url: server.url });
  await eventually(() => chat.calls.length === 4);
  for (const call of chat.calls.slice(2)) call.answer("again");
  await untilFinished(database, before + 2);
  const rows = await database.query(
    "select response, crashes from llmq.results where model = 'http2' order by id desc limit 2",
  );
  expect(rows).toEqual([
    { response: "again", crashes: 1 },
    { response: "again", crashes: 1 },
  ]);
  await running.stopAll();
  await chat.close();
});
