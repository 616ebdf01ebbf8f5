import { afterEach, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { type ChatCall, type ChatServer, startChatServer } from "./chat-server.ts";
import {
  configureHttp,
  configureSim,
  ledgerOf,
  orchestrators,
  request,
  rowOf,
  submit,
  submitMany,
  untilStatus,
} from "./support.ts";

let database: TestDatabase;
const running = orchestrators();
const servers: ChatServer[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  await configureSim(database);
});
afterEach(async () => {
  await running.stopAll();
  await Promise.all(servers.splice(0).map((server) => server.close()));
  await database.drop();
});

/** A model of its own provider; `onCall` answers. */
async function model(name: string, onCall: (call: ChatCall) => void): Promise<ChatServer> {
  const server = await startChatServer(onCall);
  servers.push(server);
  await configureHttp(database, name, server.url);
  return server;
}

const route = (...models: string[]) => database.query("select llmq.configure_route('*', $1)", [models]);
const quota = { error: { message: "You exceeded your current quota", code: "insufficient_quota" } };

test("transient errors are tried again after a backoff, and count as attempts", async () => {
  await running.start({ url: database.url });
  const id = await submit(database, { sim: { error: { status: 502, times: 3 }, text: "at last" } });
  expect(await untilStatus(database, id)).toMatchObject({
    status: "completed",
    response: "at last",
    attempts: 3,
  });
  expect(await ledgerOf(database, id)).toEqual(["transient", "transient", "transient", "answered"]);
  const rows = await database.query(
    "select extract(epoch from started_at - lag(finished_at) over (order by number)) * 1000 as pause from llmq.attempts where request_id = $1 order by number",
    [id],
  );
  // retry_base is 20 ms, it doubles, and up to half of it is jitter.
  expect(rows.slice(1).map((row, index) => Number(row.pause) >= 10 * 2 ** index)).toEqual([true, true, true]);
});

test("it fails when max_attempts is reached, with the reason", async () => {
  await running.start({ url: database.url });
  const id = await submit(database, {
    sim: { error: { status: 500, message: "on fire" } },
    max_attempts: 3,
  });
  expect(await untilStatus(database, id)).toMatchObject({
    status: "failed",
    error_type: "provider_unavailable",
    error_message: "LLM provider unavailable: on fire",
    attempts: 3,
  });
});

test("a limited model cools down without an attempt, while another one goes on", async () => {
  let limited = true;
  const slow = await model("slow", (call) =>
    limited ? call.fail(429, undefined, { "retry-after": "3600" }) : call.answer("from slow"),
  );
  await model("other", (call) => call.answer("from other"));
  await running.start({ url: database.url });
  const id = await submit(database, { model: "slow" });
  await eventually(async () => (await rowOf(database, id)).capacity_waits === 1);
  const more = await submitMany(
    database,
    Array.from({ length: 20 }, () => request({ model: "slow" })),
  );
  const other = await submit(database, { model: "other" });
  expect(await untilStatus(database, other)).toMatchObject({ response: "from other" });
  expect(await rowOf(database, id)).toMatchObject({ status: "pending", attempts: 0, capacity_waits: 1 });
  expect(slow.calls).toHaveLength(1);
  const [state] = await database.query(
    "select cooling_until - clock_timestamp() between '55 minutes' and '61 minutes' as an_hour from llmq.model_state",
  );
  expect(state).toEqual({ an_hour: true });

  limited = false;
  await database.query("update llmq.model_state set cooling_until = clock_timestamp()");
  expect(await untilStatus(database, id)).toMatchObject({
    status: "completed",
    attempts: 0,
    capacity_waits: 1,
  });
  expect(await ledgerOf(database, id)).toEqual(["capacity", "answered"]);
  for (const waiting of more) expect((await untilStatus(database, waiting)).attempts).toBe(0);
});

test("a limit that would break the deadline falls back along the route", async () => {
  await model("limited", (call) => call.fail(429, undefined, { "retry-after": "3600" }));
  await model("spare", (call) => call.answer("from spare"));
  await route("limited", "spare");
  await running.start({ url: database.url });
  const id = await submit(database, { deadline: new Date(Date.now() + 60_000).toISOString() });
  expect(await untilStatus(database, id)).toMatchObject({ response: "from spare", attempts: 0 });
});

test("a provider that drops every connection is tried until it is back", async () => {
  let down = true;
  const server = await model("shaky", (call) => {
    if (down) call.response.destroy();
    else call.answer("back again");
  });
  await running.start({ url: database.url });
  const id = await submit(database, { model: "shaky", max_attempts: 100 });
  await eventually(() => server.calls.length >= 3);
  expect(await rowOf(database, id)).toMatchObject({
    error_type: "provider_unavailable",
    finished_at: null,
  });
  down = false;
  expect(await untilStatus(database, id)).toMatchObject({ status: "completed", response: "back again" });
});

test("after two transient failures the next model of the route is asked", async () => {
  const broken = await model("broken", (call) => call.fail(500));
  await model("spare", (call) => call.answer("from spare"));
  await route("broken", "spare");
  await running.start({ url: database.url });
  const id = await submit(database);
  expect(await untilStatus(database, id)).toMatchObject({ model: "spare", attempts: 2 });
  expect(broken.calls).toHaveLength(2);
});

test("a provider out of quota is left alone with all its models, and said so loudly", async () => {
  const poor = await model("poor", (call) => call.fail(429, quota));
  await database.query("select llmq.configure_model('poor-too', 'poor')");
  await model("rich", (call) => call.answer("from rich"));
  await route("poor", "poor-too", "rich");
  const { lines } = await running.start({ url: database.url });
  const id = await submit(database);
  expect(await untilStatus(database, id)).toMatchObject({ model: "rich", attempts: 0, capacity_waits: 1 });
  expect(poor.calls).toHaveLength(1);
  const line = await eventually(() => lines.find(({ errorClass }) => errorClass === "out_of_quota"));
  expect(line.level).toBe(50);
});

test.each([401, 403])("status %i falls back at once, and the model is left alone", async (status) => {
  const locked = await model("locked", (call) => call.fail(status));
  await model("open", (call) => call.answer("from open"));
  await route("locked", "open");
  const { lines } = await running.start({ url: database.url });
  const id = await submit(database);
  expect(await untilStatus(database, id)).toMatchObject({ model: "open", attempts: 0 });
  expect(locked.calls).toHaveLength(1);
  const line = await eventually(() => lines.find(({ errorClass }) => errorClass === "configuration"));
  expect(line.level).toBe(50);
});

test("an answer that stays invalid goes on to the next model, and the last one's is kept", async () => {
  await model("weak", (call) => call.answer("not json"));
  await model("weaker", (call) => call.answer("not json either"));
  await route("weak", "weaker");
  await running.start({ url: database.url });
  const id = await submit(database, { response_schema: { type: "object" } });
  expect(await untilStatus(database, id)).toMatchObject({
    status: "failed",
    error_type: "malformed_response",
    response: "not json either",
    model: "weaker",
    reasks: 2,
  });
  expect(await ledgerOf(database, id)).toEqual(["invalid", "invalid", "invalid", "invalid"]);
});
