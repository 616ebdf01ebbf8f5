/** A request moves between tables while somebody waits for its lock: it is found where it went. */
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { waitForBlockedBackend } from "../support/eventually.ts";
import {
  callOne,
  claimRequest,
  codeOf,
  configureModels,
  inTransaction,
  ledger,
  type Queryable,
  queryable,
  read,
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

type Move = (client: pg.Client, id: string) => Promise<unknown>;

const take: Move = (client, id) => callOne(client, "mark_processing", { request_id: id });
const claimIt: Move = (client, id) => claimRequest(client, id);
const giveBack: Move = (client, id) =>
  client.query("select llmq.release_llm_requests(worker_id, array[id]) from llmq.in_flight where id = $1", [
    id,
  ]);
const answer: Move = (client, id) => callOne(client, "mark_completed", { request_id: id, response: "first" });
const failAndRetry: Move = (client, id) =>
  callOne(client, "mark_failed", { request_id: id, error_type: "exception", error_message: "no" });

/** What `second` answers when it has to wait for a transaction that does `first`. */
async function behind<T>(id: string, first: Move, end: "commit" | "rollback", second: () => Promise<T>) {
  let waiting: Promise<T> | undefined;
  await inTransaction(database, async (client) => {
    await first(client, id);
    waiting = second();
    // It may fail before it is awaited.
    waiting.catch(() => undefined);
    await waitForBlockedBackend(database, id);
    await client.query(end);
  });
  return await (waiting as Promise<T>);
}

const sides = [
  ["a claim", false, claimIt, "commit"],
  ["a claim that is rolled back", false, claimIt, "rollback"],
  ["a worker that takes it by its id", false, take, "commit"],
  ["a worker that gives it back", true, giveBack, "commit"],
  ["a worker that gives it back, rolled back", true, giveBack, "rollback"],
  ["a failure that is tried again", true, failAndRetry, "commit"],
] as const;

test.each(sides)("a cancellation waits for %s, and cancels it", async (_name, claimed, first, end) => {
  const id = await submit(on);
  if (claimed) await callOne(on, "mark_processing", { request_id: id });
  const cancel = () => database.query(`select llmq.cancel_llm_request('${id}', 'enough') as done`);
  expect(await behind(id, first, end, cancel)).toEqual([{ done: true }]);
  expect(await read(on, id)).toMatchObject({ status: "cancelled", error_message: "enough" });
});

test.each(sides)("an answer from outside waits for %s, and is stored", async (_name, claimed, first, end) => {
  const id = await submit(on);
  if (claimed) await callOne(on, "mark_processing", { request_id: id });
  const outcome = JSON.stringify([{ request_id: id, response: "from outside", calls: [] }]);
  const finish = () => database.query(`select llmq.finish_requests('${outcome}', 'completed') as done`);
  expect(await behind(id, first, end, finish)).toEqual([{ done: [id] }]);
  expect(await read(on, id)).toMatchObject({ status: "completed", response: "from outside" });
});

test("a cancellation that waits for an answer comes too late", async () => {
  const id = await submit(on);
  await callOne(on, "mark_processing", { request_id: id });
  const cancel = () => database.query(`select llmq.cancel_llm_request('${id}') as done`);
  expect(await behind(id, answer, "commit", cancel)).toEqual([{ done: false }]);
  expect(await read(on, id)).toMatchObject({ status: "completed", response: "first" });
  expect(await ledger(on, id)).toEqual(["1 answered"]);
});

test("of two workers that want the same request, one waits and is refused", async () => {
  const id = await submit(on);
  const second = () => codeOf(database.query(`select llmq.mark_processing('${id}')`));
  expect(await behind(id, take, "commit", second)).toBe("LQ007");
});
