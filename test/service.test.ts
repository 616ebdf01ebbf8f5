/** The parts of one process together: what one of them does must not keep the others from their work. */
import { once } from "node:events";
import { createServer } from "node:net";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readConfig } from "../src/config.ts";
import { createService, type Service } from "../src/service.ts";
import { configureSim } from "./orchestrator/support.ts";
import { createTestDatabase, type TestDatabase } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";

let database: TestDatabase;
let service: Service | null = null;

beforeEach(async () => {
  database = await createTestDatabase();
  await configureSim(database);
});
afterEach(async () => {
  await service?.stop(0);
  service = null;
  await database.drop();
});

function serviceWith(env: Record<string, string>): Service {
  service = createService({
    config: readConfig({ DATABASE_URL: database.url, LLMQ_HTTP_PORT: "off", ...env }),
    env: {},
    databaseUrl: database.url,
    listenUrl: database.url,
    logger: pino({ level: "silent" }),
    version: "1.2.3",
  });
  return service;
}

test("a port that is taken leaves no worker behind", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const address = other.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await expect(serviceWith({ LLMQ_HTTP_PORT: String(port) }).start()).rejects.toThrow(
    /another process uses it/,
  );
  expect(await database.query("select id from llmq.workers")).toEqual([]);
  other.close();
});

test("handlers that hang keep no heartbeat back, and a second stop waits for none of them", async ({
  skip,
}) => {
  if (!database.hasPgmq) skip();
  const queues = ["one", "two", "three", "four", "five", "six"];
  await database.query(`
    create function public.hang(queue_name text, message_id bigint, message jsonb) returns void
    language sql as 'select pg_advisory_xact_lock(4711)'`);
  for (const queue of queues) {
    await database.query("select pgmq.create($1)", [queue]);
    await database.query("select pgmq.send($1, '{}')", [queue]);
    await database.query("insert into llmq.shared_queues (queue_name, handler) values ($1, 'public.hang')", [
      queue,
    ]);
  }
  const lock = await database.connect();
  await lock.query("select pg_advisory_lock(4711)");
  const hanging = async () =>
    (
      await database.query(
        `select from pg_stat_activity
         where datname = current_database() and wait_event = 'advisory' and query like '%handle_shared_queue%'`,
      )
    ).length;
  const { start, stop } = serviceWith({
    LLMQ_POOL_SIZE: "2",
    LLMQ_HEARTBEAT_MS: "1000",
    SHARED_QUEUE_POLL_MS: "50",
  });
  await start();
  await eventually(async () => (await hanging()) === 4);
  const beats = new Set<string>();
  await eventually(async () => {
    const [worker] = await database.query("select heartbeat_at::text as at from llmq.workers");
    beats.add(String(worker?.at));
    return beats.size === 3;
  });
  const first = stop(60_000);
  await stop(0);
  await first;
  expect(await hanging()).toBe(4);
  await lock.query("select pg_advisory_unlock(4711)");
  await eventually(async () => (await hanging()) === 0);
});
