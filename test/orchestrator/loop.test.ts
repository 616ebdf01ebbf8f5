import type pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SchemaVersionError } from "../../src/orchestrator/orchestrator.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { type ChatCall, type ChatServer, startChatServer } from "./chat-server.ts";
import {
  configureHttp,
  configureSim,
  expectConsistent,
  orchestrators,
  request,
  submit,
  submitMany,
  untilFinished,
  untilStatus,
} from "./support.ts";

/** No test waits for a poll this long: what comes sooner came by a notification. */
const never = 60_000;
let database: TestDatabase;
const running = orchestrators();

beforeEach(async () => {
  database = await createTestDatabase();
  await configureSim(database);
});
afterEach(async () => {
  await running.stopAll();
  await database.drop();
});

async function armed(): Promise<boolean> {
  const [row] = await database.query("select last_value::int as v from llmq.armed");
  return row?.v === 2;
}

describe.each([
  { notify: true, name: "with notifications" },
  { notify: false, name: "by polling alone" },
])("$name", ({ notify }) => {
  const start = () => running.start({ url: database.url, ...(!notify && { listenUrl: null }) });

  test("requests of every kind end as they should", async () => {
    const { orchestrator } = await start();
    const schema = { type: "object", properties: { a: { type: "number" } }, required: ["a"] };
    const ids = await submitMany(database, [
      request(),
      request({ response_schema: schema }),
      request({ response_schema: schema, sim: { text: "no json" }, settings: { validation_retries: 0 } }),
      request({ sim: { error: { status: 400 } } }),
      request({ sim: { error: { status: 500, times: 1 } } }),
    ]);
    const rows = await Promise.all(ids.map((id) => untilStatus(database, id)));
    expect(rows.map((row) => [row.status, row.error_type])).toEqual([
      ["completed", null],
      ["completed", null],
      ["failed", "malformed_response"],
      ["failed", "bad_request"],
      ["completed", null],
    ]);
    expect(rows[1]?.parsed_response).toEqual({ a: 0 });
    // A row is stored a moment before the orchestrator hears of it.
    await eventually(() => orchestrator.stats().unstored === 0);
    expect(orchestrator.stats()).toMatchObject({ inFlight: 0, listenerMode: notify ? "listening" : "off" });
    await expectConsistent(database, 5);
  });

  test("several hundred requests that are there before it starts", async () => {
    await submitMany(
      database,
      Array.from({ length: 300 }, (_, index) => request({ agent_id: `agent ${index % 7}` })),
    );
    await start();
    await untilFinished(database, 300);
    await expectConsistent(database, 300);
  });

  test("a request that becomes due later starts then, and not before", async () => {
    await start();
    const runAt = new Date(Date.now() + 400);
    const id = await submit(database, { run_at: runAt.toISOString() });
    const row = await untilStatus(database, id, "completed");
    expect((row.started_at as Date).getTime()).toBeGreaterThanOrEqual(runAt.getTime());
  });
});

describe("waking up", () => {
  test("a request submitted while it sleeps is started by the notification, not by the poll", async () => {
    await running.start({ url: database.url, pollIntervalMs: never });
    await eventually(armed);
    for (let round = 0; round < 3; round += 1) {
      await untilStatus(database, await submit(database), "completed");
    }
  });

  test("an orchestrator that sleeps is armed; a busy one disarms, and what comes then is picked up", async () => {
    const real = database.pool();
    let disarmed = false;
    const query = (text: string, values?: unknown[]) => {
      disarmed ||= text.includes("disarm_wake");
      return real.query(text, values);
    };
    const pool = { query } as unknown as pg.Pool;
    // Polled now and then: a submit that stalls between its look at the flag and its commit wakes nobody.
    await running.start({ url: database.url, pool, pollIntervalMs: 2_000, batchSize: 10 });
    await eventually(armed);
    let submitted = 0;
    // It is busy for as long as there is more than it takes at a time.
    while (!disarmed && submitted < 10_000) {
      await submitMany(
        database,
        Array.from({ length: 40 }, () => request()),
      );
      submitted += 40;
    }
    expect(disarmed).toBe(true);
    const id = await submit(database);
    await untilStatus(database, id, "completed");
    await untilFinished(database, submitted + 1);
    await eventually(armed, { what: "an armed flag after the load" });
  });

  test("a flag that nobody cleared is cleared and set by whoever comes next", async () => {
    await database.query("select llmq.disarm_wake()");
    await running.start({ url: database.url });
    await eventually(armed);
  });

  test("without notifications the flag stays as it is", async () => {
    await running.start({ url: database.url, listenUrl: null });
    await untilStatus(database, await submit(database), "completed");
    expect(await armed()).toBe(false);
  });

  test("what was submitted while the listener was away is found when it is back", async () => {
    const modes: string[] = [];
    await running.start({
      url: database.url,
      pollIntervalMs: never,
      observer: { listenerMode: (mode) => void modes.push(mode) },
    });
    await eventually(armed);
    await database.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'llmq listener' and datname = current_database()",
    );
    await eventually(() => modes.includes("polling"));
    const id = await submit(database);
    await untilStatus(database, id, "completed");
    await eventually(() => modes.length === 3);
    expect(modes).toEqual(["listening", "polling", "listening"]);
  });
});

describe("concurrency", () => {
  test("is never exceeded and always used while there is work", async () => {
    let now = 0;
    let most = 0;
    const server = await startChatServer((call) => {
      now += 1;
      most = Math.max(most, now);
      setImmediate(() => {
        now -= 1;
        call.answer("ok");
      });
    });
    await configureHttp(database, "http", server.url);
    await submitMany(
      database,
      Array.from({ length: 120 }, () => request({ model: "http" })),
    );
    // With this poll, a place that is free without anybody noticing would end the test.
    const { orchestrator } = await running.start({
      url: database.url,
      concurrency: 4,
      pollIntervalMs: never,
    });
    await untilFinished(database, 120);
    expect(most).toBeLessThanOrEqual(4);
    expect(server.calls).toHaveLength(120);
    expect(orchestrator.stats().inFlight).toBe(0);
    await server.close();
  });

  test("every place is taken while all calls hang", async () => {
    const server = await startChatServer(() => undefined);
    await configureHttp(database, "http", server.url);
    await submitMany(
      database,
      Array.from({ length: 20 }, () => request({ model: "http" })),
    );
    await running.start({ url: database.url, concurrency: 7, batchSize: 3, pollIntervalMs: never });
    await eventually(() => server.calls.length === 7);
    const [row] = await database.query(
      "select (select count(*)::int from llmq.in_flight) as held, (select count(*)::int from llmq.queue) as waiting",
    );
    expect(row).toEqual({ held: 7, waiting: 13 });
    server.calls[0]?.answer("ok");
    await eventually(() => server.calls.length === 8);
    await running.stopAll();
    await server.close();
  });
});

test("two orchestrators share 500 requests, and every one is called once", async () => {
  const concurrency = 100;
  const held: ChatCall[] = [];
  // Nothing is answered before there are more calls than one of them may make.
  const server: ChatServer = await startChatServer((call) => {
    held.push(call);
    if (server.calls.length > concurrency) for (const one of held.splice(0)) one.answer("ok");
  });
  await configureHttp(database, "http", server.url);
  const both = await Promise.all(
    [1, 2].map(() => running.start({ url: database.url, batchSize: 10, concurrency })),
  );
  await submitMany(
    database,
    Array.from({ length: 500 }, (_, index) =>
      request({ model: "http", messages: [{ role: "user", content: `number ${index}` }] }),
    ),
  );
  await untilFinished(database, 500);
  expect(new Set(server.calls.map((call) => call.said)).size).toBe(500);
  expect(server.calls).toHaveLength(500);
  expect(both.every(({ started }) => started.length > 0)).toBe(true);
  await expectConsistent(database, 500);
  await server.close();
});

describe("start", () => {
  test("is refused on a database without the schema, with what to do", async () => {
    const empty = await createTestDatabase({ empty: true });
    const failure = await running.start({ url: empty.url }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SchemaVersionError);
    expect(String(failure)).toContain("llmq migrate");
    await running.stopAll();
    await empty.drop();
  });

  test("on a server that is not there says so, and not that the schema is missing", async () => {
    const failure = await running
      .start({ url: "postgres://nobody@127.0.0.1:1/none" })
      .catch((error: unknown) => error);
    expect(failure).not.toBeInstanceOf(SchemaVersionError);
    expect(String(failure)).toContain("ECONNREFUSED");
  });
});
