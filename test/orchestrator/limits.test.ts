import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { startChatServer } from "./chat-server.ts";
import { configureHttp, orchestrators, request, submitMany, untilFinished } from "./support.ts";

/** With this poll, room that nobody notices would end the test. */
const never = 3_600_000;

let database: TestDatabase;
const running = orchestrators();

beforeAll(async () => {
  database = await createTestDatabase();
});
afterEach(() => running.stopAll());
afterAll(() => database.drop());

const many = (count: number, given: object) => Array.from({ length: count }, () => request({ ...given }));

/** Counts calls in flight, and answers each after a turn of the event loop. */
async function startCounting() {
  let now = 0;
  const seen = { most: 0 };
  const server = await startChatServer((call) => {
    now += 1;
    seen.most = Math.max(seen.most, now);
    setTimeout(() => {
      now -= 1;
      call.answer("ok");
    }, 5);
  });
  return { server, seen };
}

test("two orchestrators keep a model's concurrency together, and each end starts the next without a poll", async () => {
  const { server, seen } = await startCounting();
  await configureHttp(database, "narrow", server.url);
  await database.query("select llmq.configure_model('narrow', max_concurrency => 3)");
  const before = await finished();
  await submitMany(database, many(60, { model: "narrow" }));
  await running.start({ url: database.url, pollIntervalMs: never });
  await running.start({ url: database.url, pollIntervalMs: 50 });
  await untilFinished(database, before + 60);
  expect(seen.most).toBe(3);
  expect(server.calls).toHaveLength(60);
  await server.close();
});

test("one orchestrator alone goes on by itself with what an agent's limit held back", async () => {
  const { server, seen } = await startCounting();
  await configureHttp(database, "wide", server.url);
  await database.query("select llmq.configure_agent('modest', max_concurrency => 2)");
  const before = await finished();
  await submitMany(database, many(20, { model: "wide", agent_id: "modest" }));
  await running.start({ url: database.url, pollIntervalMs: never });
  await untilFinished(database, before + 20);
  expect(seen.most).toBe(2);
  await server.close();
});

test("a provider that says it has less left is believed", async () => {
  const server = await startChatServer((call) => {
    call.response.setHeader("x-ratelimit-remaining-requests", "0");
    call.response.setHeader("x-ratelimit-reset-requests", "55s");
    call.answer("ok");
  });
  await configureHttp(database, "told", server.url);
  await database.query("select llmq.configure_model('told', requests_per_minute => 50)");
  const before = await finished();
  await submitMany(database, many(3, { model: "told" }));
  const { orchestrator } = await running.start({ url: database.url, batchSize: 1, concurrency: 1 });
  await untilFinished(database, before + 1);
  const [row] = await eventually(
    async () => {
      const rows = await database.query(
        "select llmq.explain_llm_request(q.id) ->> 'why' as why from llmq.queue as q limit 1",
      );
      return rows[0]?.why.includes("at its limit") ? rows : undefined;
    },
    { what: "an explanation that names the limit" },
  );
  expect(row?.why).toBe("The model told is at its limit of 50 requests a minute.");
  expect(server.calls).toHaveLength(1);
  expect(orchestrator.stats().inFlight).toBe(0);
  await server.close();
});

async function finished(): Promise<number> {
  const [row] = await database.query("select count(*)::int as count from llmq.results");
  return row?.count as number;
}
