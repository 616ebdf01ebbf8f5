import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { type ChatServer, startChatServer } from "./chat-server.ts";
import {
  configureHttp,
  configureSim,
  expectConsistent,
  ledgerOf,
  orchestrators,
  rowOf,
  submit,
  untilStatus,
} from "./support.ts";

let database: TestDatabase;
let server: ChatServer;
const running = orchestrators();

beforeEach(async () => {
  database = await createTestDatabase();
  await configureSim(database);
  server = await startChatServer(() => undefined);
  await configureHttp(database, "hangs", server.url);
});
afterEach(async () => {
  await running.stopAll();
  await server.close();
  await database.drop();
});

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString();

test("a call that was answered before the cancellation is in the ledger, with what it cost", async () => {
  await running.start({ url: database.url });
  const id = await submit(database, { model: "hangs", response_schema: { type: "object" } });
  await eventually(() => server.calls.length === 1);
  server.calls[0]?.answer("not json");
  await eventually(() => server.calls.length === 2);
  await eventually(async () => (await ledgerOf(database, id)).length === 1);
  await database.query("select llmq.cancel_llm_request($1)", [id]);
  await server.calls[1]?.hungUp;
  expect(await ledgerOf(database, id)).toEqual(["invalid", "cancelled"]);
  expect(await rowOf(database, id)).toMatchObject({
    status: "cancelled",
    calls: 2,
    input_tokens: "3",
    output_tokens: "2",
  });
  await expectConsistent(database, 1);
});

test("a cancellation in a transaction that stays open holds up its own request alone", async () => {
  const { orchestrator } = await running.start({ url: database.url, poolSize: 5 });
  const ids = await Promise.all(Array.from({ length: 10 }, () => submit(database, { model: "hangs" })));
  await eventually(() => server.calls.length === 10);
  const app = await database.connect();
  await app.query("begin");
  await app.query("select llmq.cancel_llm_request($1)", [ids[0]]);
  for (const call of server.calls) call.answer("yes");
  await eventually(() => orchestrator.stats().unstored === 1);
  const later = await submit(database, { model: "hangs" });
  await eventually(() => server.calls.length === 11);
  server.calls[10]?.answer("yes");
  await untilStatus(database, later, "completed");
  await app.query("rollback");
  for (const id of ids) await untilStatus(database, id, "completed");
  await expectConsistent(database, 11);
});

describe("cancelling in SQL", () => {
  test.each([
    { name: "by a notification", pollIntervalMs: 60_000, notify: true },
    { name: "by polling alone", pollIntervalMs: 50, notify: false },
  ])("closes the connection to the provider, $name", async ({ pollIntervalMs, notify }) => {
    const { orchestrator } = await running.start({
      url: database.url,
      pollIntervalMs,
      ...(!notify && { listenUrl: null }),
    });
    // Again and again: one cancellation must not hide the next.
    for (let round = 0; round < 3; round += 1) {
      const id = await submit(database, { model: "hangs" });
      await eventually(() => server.calls.length === round + 1);
      expect(
        await database.query("select llmq.cancel_llm_request($1, 'no longer needed') as done", [id]),
      ).toEqual([{ done: true }]);
      await server.calls[round]?.hungUp;
      await eventually(() => orchestrator.stats().inFlight === 0);
      expect(await rowOf(database, id)).toMatchObject({
        status: "cancelled",
        error_message: "no longer needed",
      });
      expect(await ledgerOf(database, id)).toEqual(["cancelled"]);
    }
    await expectConsistent(database, 3);
  });

  test("also while no place is free for another call", async () => {
    await running.start({ url: database.url, concurrency: 1, pollIntervalMs: 60_000 });
    const first = await submit(database, { model: "hangs" });
    const second = await submit(database, { model: "hangs" });
    await eventually(() => server.calls.length === 1);
    await database.query(
      "select llmq.cancel_llm_request(id) from llmq.llm_requests where status = 'processing'",
    );
    await server.calls[0]?.hungUp;
    await eventually(() => server.calls.length === 2);
    const statuses = [await rowOf(database, first), await rowOf(database, second)].map((row) => row.status);
    expect(statuses.toSorted()).toEqual(["cancelled", "processing"]);
  });

  test("also during the grace time of a stop", async () => {
    const { orchestrator } = await running.start({ url: database.url });
    const id = await submit(database, { model: "hangs" });
    await eventually(() => server.calls.length === 1);
    const stopped = orchestrator.stop(60_000);
    await database.query("select llmq.cancel_llm_request($1)", [id]);
    await server.calls[0]?.hungUp;
    await stopped;
    expect(await rowOf(database, id)).toMatchObject({ status: "cancelled" });
  });
});

describe("a deadline", () => {
  test("during the call closes the connection and fails the request", async () => {
    await running.start({ url: database.url });
    const id = await submit(database, { model: "hangs", deadline: inSeconds(3) });
    await eventually(() => server.calls.length === 1);
    await server.calls[0]?.hungUp;
    expect(await untilStatus(database, id)).toMatchObject({
      status: "failed",
      error_type: "deadline_exceeded",
      attempts: 0,
    });
    expect(await ledgerOf(database, id)).toEqual(["deadline"]);
  });

  test("that passes in the queue fails the request without a call", async () => {
    await database.query("select llmq.configure_model('hangs', paused => true)");
    await running.start({ url: database.url });
    const id = await submit(database, { model: "hangs", deadline: inSeconds(3) });
    expect(await untilStatus(database, id)).toMatchObject({
      status: "failed",
      error_type: "deadline_exceeded",
      calls: 0,
    });
    expect(server.calls).toHaveLength(0);
  });

  test("that passes while it waits for the next attempt fails the request", async () => {
    await database.query(
      `update llmq.settings set value = '"1 hour"' where name in ('retry_base', 'retry_max')`,
    );
    await running.start({ url: database.url });
    const id = await submit(database, { sim: { error: { status: 500 } }, deadline: inSeconds(3) });
    expect(await untilStatus(database, id)).toMatchObject({ error_type: "deadline_exceeded", calls: 1 });
  });

  test.each(["infinity", "250000-01-01", "290000-01-01"])("at %s is none", async (deadline) => {
    await running.start({ url: database.url });
    const id = await submit(database, { deadline });
    expect(await untilStatus(database, id)).toMatchObject({ status: "completed", calls: 1 });
  });
});
