import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually, waitForBlockedBackend } from "../support/eventually.ts";
import {
  call,
  claimRequest,
  codeOf,
  configureModels,
  hello,
  type Queryable,
  queryable,
  submit,
} from "./support.ts";

let database: TestDatabase;
let on: Queryable;

beforeAll(async () => {
  database = await createTestDatabase();
  await configureModels(database);
  on = queryable(database);
});
afterAll(() => database.drop());

const rowsOf = async (key: string) =>
  (
    await database.query("select count(*)::int as rows from llmq.requests where idempotency_key = $1", [key])
  )[0]?.rows;

test("the same key of the same agent gives the same request, of another agent another one", async () => {
  const id = await submit(on, { idempotency_key: "k" });
  expect(await submit(on, { idempotency_key: "k" })).toBe(id);
  // Even when everything else differs: the key decides.
  expect(await submit(on, { idempotency_key: "k", task_type: "other", priority: 5 })).toBe(id);
  expect(await submit(on, { idempotency_key: "k", agent_id: "other" })).not.toBe(id);
  expect(await rowsOf("k")).toBe(2);
});

test("a finished request keeps its key", async () => {
  const id = await submit(on, { idempotency_key: "finished" });
  await claimRequest(on, id);
  await call(on, "mark_completed", { request_id: id, response: "x" });
  expect(await submit(on, { idempotency_key: "finished" })).toBe(id);
});

test("a bulk call takes up requests that exist, and queues only the others", async () => {
  const id = await submit(on, { idempotency_key: "bulk" });
  const item = { agent_id: "agent", task_type: "t", messages: hello };
  const rows = await call(on, "submit_llm_requests", {
    requests: [{ ...item, idempotency_key: "bulk new" }, { ...item, idempotency_key: "bulk" }, item],
  });
  expect(rows[1]?.submit_llm_requests).toBe(id);
  expect(new Set(rows.map((row) => row.submit_llm_requests)).size).toBe(3);
  expect(await rowsOf("bulk")).toBe(1);
});

describe("two connections submit the same key at once", () => {
  test("the second waits for the first, and gets its request when that commits", async () => {
    const [first, second] = [await database.connect(), await database.connect()];
    await first.query("begin");
    const id = await submit(first, { idempotency_key: "commits" });
    const other = submit(second, { idempotency_key: "commits" });
    await waitForBlockedBackend(database, "submit_llm_request");
    await first.query("commit");
    expect(await other).toBe(id);
    expect(await rowsOf("commits")).toBe(1);
  });

  test("the second makes its own when the first is rolled back", async () => {
    const [first, second] = [await database.connect(), await database.connect()];
    await first.query("begin");
    const id = await submit(first, { idempotency_key: "rolls back" });
    const other = submit(second, { idempotency_key: "rolls back" });
    await waitForBlockedBackend(database, "submit_llm_request");
    await first.query("rollback");
    expect(await other).not.toBe(id);
    expect(await rowsOf("rolls back")).toBe(1);
  });

  test("two bulk calls with the same keys in opposite order wait, and neither fails", async () => {
    const [first, second] = [await database.connect(), await database.connect()];
    const item = { agent_id: "agent", task_type: "t", messages: hello };
    const keys = Array.from({ length: 40 }, (_, index) => `crossed ${index}`);
    const bulk = (connection: typeof first, order: string[]) =>
      call(connection, "submit_llm_requests", {
        requests: order.map((key) => ({ ...item, idempotency_key: key })),
      });
    // One holds a key in the middle, so that both calls are under way when they meet.
    const third = await database.connect();
    await third.query("begin");
    await submit(third, { idempotency_key: "crossed 20" });
    const calls = [bulk(first, keys), bulk(second, keys.toReversed())];
    await eventually(async () => {
      const [blocked] = await database.query(
        "select count(*)::int as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      return blocked?.count === 2;
    });
    await third.query("rollback");
    const [forth, back] = await Promise.all(calls);
    expect(back?.toReversed()).toEqual(forth);
    expect(new Set(forth?.map((row) => row.submit_llm_requests)).size).toBe(40);
  });

  test("in bulk calls too", async () => {
    const [first, second] = [await database.connect(), await database.connect()];
    const requests = Array.from({ length: 20 }, (_, place) => ({
      agent_id: "agent",
      task_type: "t",
      messages: hello,
      idempotency_key: `bulk at once ${place}`,
    }));
    await first.query("begin");
    const ids = await call(first, "submit_llm_requests", { requests });
    const others = call(second, "submit_llm_requests", { requests });
    await waitForBlockedBackend(database, "submit_llm_requests");
    await first.query("commit");
    expect(await others).toEqual(ids);
  });

  test("under REPEATABLE READ the second is told to retry, and then finds it", async () => {
    const [first, second] = [await database.connect(), await database.connect()];
    await second.query("begin isolation level repeatable read; select 1");
    const id = await submit(first, { idempotency_key: "serial" });
    expect(await codeOf(submit(second, { idempotency_key: "serial" }))).toBe("40001");
    await second.query("rollback");
    await second.query("begin isolation level repeatable read");
    expect(await submit(second, { idempotency_key: "serial" })).toBe(id);
    await second.query("commit");
  });

  test("twenty at once make one request", async () => {
    const pool = database.pool({ max: 20 });
    const ids = await Promise.all(
      Array.from({ length: 20 }, () => submit(pool, { idempotency_key: "many" })),
    );
    expect(new Set(ids).size).toBe(1);
    expect(await rowsOf("many")).toBe(1);
  });
});
