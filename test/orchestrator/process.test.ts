/** The real command as a process of its own, and what signals do to it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { type ChatServer, startChatServer } from "./chat-server.ts";
import { configureHttp, expectConsistent, ledgerOf, rowOf, submit, untilStatus } from "./support.ts";

let database: TestDatabase;
let chat: ChatServer;
const children: ChildProcess[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  chat = await startChatServer(() => undefined);
  await configureHttp(database, "http", chat.url);
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  }
  await chat.close();
  await database.drop();
});

/** Starts `llmq start` and waits until it has registered. */
async function start(): Promise<ChildProcess> {
  const before = (await workers()).map(({ id }) => id);
  const child = spawn(process.execPath, ["bin/llmq.js", "start"], {
    stdio: ["ignore", "ignore", "inherit"],
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: database.url,
      KEY: "sk-test",
      LLMQ_HTTP_PORT: "off",
      LLMQ_HEARTBEAT_MS: "1000",
      LLMQ_LOG_LEVEL: "error",
    },
  });
  children.push(child);
  // Not by their number: the new one may take away a dead one at once.
  await eventually(async () => (await workers()).some(({ id }) => !before.includes(id)));
  return child;
}

const workers = () => database.query("select id from llmq.workers");

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s lets the call finish, stores it, and exits with 0",
  async (signal) => {
    const child = await start();
    const id = await submit(database, { model: "http" });
    await eventually(() => chat.calls.length === 1);
    const exited = once(child, "exit");
    child.kill(signal);
    chat.calls[0]?.answer("in time");
    await untilStatus(database, id, "completed");
    expect(await exited).toEqual([0, null]);
    expect(await workers()).toEqual([]);
  },
);

test("a second signal ends it at once, and gives back what it held", async () => {
  const child = await start();
  const id = await submit(database, { model: "http" });
  await eventually(() => chat.calls.length === 1);
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  child.kill("SIGINT");
  await chat.calls[0]?.hungUp;
  expect(await exited).toEqual([0, null]);
  expect(await rowOf(database, id)).toMatchObject({ status: "pending", attempts: 0 });
  expect(await ledgerOf(database, id)).toEqual(["released"]);
});

test("kill -9 in the middle of a call: another process runs it again, and the result is stored once", async () => {
  const child = await start();
  const id = await submit(database, { model: "http" });
  await eventually(() => chat.calls.length === 1);
  child.kill("SIGKILL");
  await once(child, "exit");
  await start();
  await eventually(() => chat.calls.length === 2);
  chat.calls[1]?.answer("by the second");
  expect(await untilStatus(database, id)).toMatchObject({
    status: "completed",
    response: "by the second",
    crashes: 1,
    attempts: 0,
  });
  expect(await ledgerOf(database, id)).toEqual(["lost", "answered"]);
  await expectConsistent(database, 1);
});
