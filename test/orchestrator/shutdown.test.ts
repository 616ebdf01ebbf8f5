import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { type ChatServer, startChatServer } from "./chat-server.ts";
import {
  configureHttp,
  configureSim,
  expectConsistent,
  ledgerOf,
  orchestrators,
  request,
  rowOf,
  submit,
  submitMany,
  untilStatus,
} from "./support.ts";

let database: TestDatabase;
let chat: ChatServer;
const running = orchestrators();

beforeEach(async () => {
  database = await createTestDatabase();
  await configureSim(database);
  chat = await startChatServer(() => undefined);
  await configureHttp(database, "http", chat.url);
});
afterEach(async () => {
  await running.stopAll();
  await chat.close();
  await database.drop();
});

const workers = () => database.query("select id from llmq.workers");

test("calls in flight may finish within the grace time, and nothing new is begun", async () => {
  const { orchestrator } = await running.start({ url: database.url });
  const saying = (content: string) => request({ model: "http", messages: [{ role: "user", content }] });
  const ids = await submitMany(database, ["first", "second"].map(saying));
  await eventually(() => chat.calls.length === 2);
  const stopped = orchestrator.stop(60_000);
  const late = await submit(database, { model: "http" });
  chat.calls[0]?.answer("one");
  await untilStatus(database, ids[chat.calls[0]?.said === "first" ? 0 : 1] as string, "completed");
  expect(await workers()).toHaveLength(1);
  chat.calls[1]?.answer("two");
  await stopped;
  for (const id of ids) expect(await rowOf(database, id)).toMatchObject({ status: "completed", calls: 1 });
  expect(await rowOf(database, late)).toMatchObject({ status: "pending", attempts: 0 });
  expect(chat.calls).toHaveLength(2);
  expect(await workers()).toEqual([]);
});

test("what does not finish in time is aborted and given back, without an attempt", async () => {
  const { orchestrator } = await running.start({ url: database.url });
  const id = await submit(database, { model: "http" });
  await eventually(() => chat.calls.length === 1);
  await orchestrator.stop(50);
  await chat.calls[0]?.hungUp;
  expect(await rowOf(database, id)).toMatchObject({ status: "pending", attempts: 0, crashes: 0, calls: 1 });
  expect(await ledgerOf(database, id)).toEqual(["released"]);
  expect(await workers()).toEqual([]);

  await running.start({ url: database.url });
  await eventually(() => chat.calls.length === 2);
  chat.calls[1]?.answer("by another");
  expect(await untilStatus(database, id)).toMatchObject({ response: "by another", attempts: 0 });
  await expectConsistent(database, 1);
});

test("what is given back between two calls keeps the first in the ledger", async () => {
  const { orchestrator } = await running.start({ url: database.url });
  const id = await submit(database, { model: "http", response_schema: { type: "object" } });
  await eventually(() => chat.calls.length === 1);
  chat.calls[0]?.answer("not json");
  await eventually(() => chat.calls.length === 2);
  await orchestrator.stop(50);
  expect(await ledgerOf(database, id)).toEqual(["invalid", "released"]);
  await running.start({ url: database.url });
  await eventually(() => chat.calls.length === 3);
  chat.calls[2]?.answer("{}");
  expect(await untilStatus(database, id)).toMatchObject({ status: "completed", calls: 3, input_tokens: "6" });
  await expectConsistent(database, 1);
});

test("a second stop is the first one; with no grace left it hurries it", async () => {
  const { orchestrator } = await running.start({ url: database.url });
  await submit(database, { model: "http" });
  await eventually(() => chat.calls.length === 1);
  const first = orchestrator.stop(3_600_000);
  const second = orchestrator.stop(3_600_000);
  expect(second).toBe(first);
  expect(orchestrator.stop(0)).toBe(first);
  await first;
  await chat.calls[0]?.hungUp;
  await orchestrator.stop();
});

test("a stop before, during and right behind the start leaves no worker", async () => {
  const never = await running.start({ url: database.url });
  await never.stop();
  const { orchestrator } = await running.start({ url: database.url });
  await Promise.all([orchestrator.start(), orchestrator.stop(0)]);
  expect(await workers()).toEqual([]);
});

test("a database that does not answer any more cannot hold the stop up", async () => {
  const line = await freezableLine(database.url);
  const { orchestrator } = await running.start({ url: line.url });
  const id = await submit(database, { model: "http" });
  await eventually(() => chat.calls.length === 1);
  line.freeze();
  chat.calls[0]?.answer("nobody hears this");
  await eventually(() => orchestrator.stats().unstored === 1);
  await orchestrator.stop(0);
  expect(orchestrator.stats()).toMatchObject({ inFlight: 0, unstored: 0 });
  expect(await rowOf(database, id)).toMatchObject({ status: "processing" });
  await line.close();
});

test("a program whose orchestrator has stopped ends by itself", async () => {
  await submit(database);
  const child = spawn(process.execPath, ["--import", "tsx", "test/orchestrator/child.ts", database.url], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk;
  });
  const [code] = await once(child, "exit");
  expect(code).toBe(0);
  expect(output).toBe("done\n");
  expect(await workers()).toEqual([]);
});

/** A connection to the server that can go dead without being closed: bytes just stop. */
async function freezableLine(target: string) {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const pairs: [Socket, Socket][] = [];
  let frozen = false;
  const server = createServer((near) => {
    sockets.add(near);
    if (frozen) return;
    const far = connect(Number(port || 5432), hostname);
    pairs.push([near, far]);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
    }
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(target);
  const address = server.address();
  url.port = String(typeof address === "object" ? address?.port : "");
  url.hostname = "127.0.0.1";
  return {
    url: url.href,
    freeze() {
      frozen = true;
      for (const [near, far] of pairs) {
        near.unpipe(far);
        far.unpipe(near);
        near.pause();
        far.pause();
      }
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
