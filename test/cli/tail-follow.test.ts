/** Following what finishes: none lost and none twice, in whatever order transactions commit. */
import type pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Follower, followFinished } from "../../src/cli/tail-follow.ts";
import { configureSim, request, submitMany } from "../orchestrator/support.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
let pool: pg.Pool;
const open: pg.Client[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  await configureSim(database);
  pool = database.pool();
});
beforeEach(() => database.query("truncate llmq.queue, llmq.in_flight, llmq.results"));
afterEach(() => Promise.all(open.splice(0).map((client) => client.end())));
afterAll(() => database.drop());

const submit = (count: number) =>
  submitMany(
    database,
    Array.from({ length: count }, () => request()),
  );

/** Ends requests as one outcome batch does: all at the same time to the microsecond. */
async function finish(ids: string[], on: Pick<pg.Client, "query"> = pool): Promise<void> {
  await on.query(
    "select llmq.finish_requests((select jsonb_agg(jsonb_build_object('request_id', i)) from unnest($1::uuid[]) as i), 'cancelled')",
    [ids],
  );
}

async function begin(): Promise<pg.Client> {
  const client = await database.connect();
  open.push(client);
  await client.query("begin");
  return client;
}

async function look(follower: Follower): Promise<string[]> {
  const ids: string[] = [];
  for await (const requests of follower.look()) ids.push(...requests.map(({ id }) => id));
  return ids;
}

describe("what commits late", () => {
  const finishings: [string, (id: string) => Promise<pg.Client>][] = [
    [
      "a transaction",
      async (id) => {
        const client = await begin();
        await finish([id], client);
        return client;
      },
    ],
    [
      "a subtransaction",
      async (id) => {
        const client = await begin();
        await client.query("savepoint s");
        await finish([id], client);
        await client.query("release savepoint s");
        return client;
      },
    ],
  ];
  test.each(finishings)(
    "%s that finished something first and commits last is told then",
    async (_, begun) => {
      const [early = "", ...others] = await submit(4);
      const follower = await followFinished(pool, {}, 0);
      const late = await begun(early);
      for (const id of others) {
        await finish([id]);
        expect(await look(follower)).toEqual([id]);
        expect(await look(follower)).toEqual([]);
      }
      await late.query("commit");
      expect(await look(follower)).toEqual([early]);
      expect(await look(follower)).toEqual([]);
      expect(await look(follower)).toEqual([]);
    },
  );

  test("two that overlap are both told, each at its commit, and one rolled back never", async () => {
    const [a = "", b = "", c = ""] = await submit(3);
    const follower = await followFinished(pool, {}, 0);
    const [first, second, third] = [await begin(), await begin(), await begin()];
    await finish([a], first);
    await finish([b], second);
    await finish([c], third);
    expect(await look(follower)).toEqual([]);
    expect(await look(follower)).toEqual([]);
    await first.query("commit");
    expect(await look(follower)).toEqual([a]);
    expect(await look(follower)).toEqual([]);
    await third.query("rollback");
    await second.query("commit");
    expect(await look(follower)).toEqual([b]);
    expect(await look(follower)).toEqual([]);
  });
});

test("more than a page that finished in the same microsecond is told once, in full", async () => {
  const ids = await submit(1_300);
  const follower = await followFinished(pool, {}, 0);
  await finish(ids);
  expect((await look(follower)).toSorted()).toEqual(ids.toSorted());
  expect(await look(follower)).toEqual([]);
});

test("a request that is retried and finishes again is told again", async () => {
  const [id = ""] = await submit(1);
  const follower = await followFinished(pool, {}, 0);
  await finish([id]);
  expect(await look(follower)).toEqual([id]);
  await database.query("select llmq.retry_llm_request($1)", [id]);
  expect(await look(follower)).toEqual([]);
  await finish([id]);
  expect(await look(follower)).toEqual([id]);
  expect(await look(follower)).toEqual([]);
});

test("a look that is given up half-way goes on with the rest, and tells nothing again", async () => {
  const ids = await submit(700);
  const follower = await followFinished(pool, {}, 0);
  await finish(ids);
  const told: string[] = [];
  for await (const requests of follower.look()) {
    told.push(...requests.map(({ id }) => id));
    break;
  }
  told.push(...(await look(follower)));
  expect(told.toSorted()).toEqual(ids.toSorted());
});

test("many writers that commit in any order, while somebody looks all the time: each request is told once", async () => {
  const ids = await submit(400);
  const follower = await followFinished(pool, {}, 0);
  const left = [...ids];
  let running = 4;
  const write = async () => {
    const client = await database.connect();
    for (let mine = left.splice(0, 5); mine.length > 0; mine = left.splice(0, 5)) {
      await client.query("begin");
      for (const id of mine) await finish([id], client);
      await client.query("commit");
    }
    await client.end();
    running -= 1;
  };
  const writers = Promise.all(Array.from({ length: 4 }, write));
  const told: string[] = [];
  while (running > 0) told.push(...(await look(follower)));
  await writers;
  told.push(...(await look(follower)));
  expect(told.toSorted()).toEqual(ids.toSorted());
});
