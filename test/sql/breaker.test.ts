import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { call, callOne, claim, passTime, submit } from "./support.ts";

let database: TestDatabase;
let on: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  on = await database.connect();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.query(`
    truncate llmq.queue, llmq.in_flight, llmq.requests, llmq.results, llmq.attempts, llmq.usage, llmq.model_state;
    delete from llmq.lane_marks; delete from llmq.routes; delete from llmq.models; delete from llmq.providers;
    select llmq.configure_provider('sim', 'sim');
    select llmq.configure_model('m', 'sim');
    select llmq.configure_model('n', 'sim');
    select llmq.configure_route('*', array['m']);
  `);
});

type Taken = { id: string; claim_id: string };

async function submitMany(count: number, over: Record<string, unknown> = {}): Promise<void> {
  for (let n = 0; n < count; n += 1) await submit(on, over);
}

const complete = (requests: Taken[]) =>
  call(on, "complete_llm_requests", {
    answers: requests.map(({ id, claim_id }) => ({
      request_id: id,
      claim_id,
      response: "done",
      calls: [{ outcome: "answered" }],
    })),
  });

const fail = (requests: Taken[], errorClass = "transient", over: object = {}) =>
  call(on, "fail_llm_requests", {
    failures: requests.map(({ id, claim_id }) => ({
      request_id: id,
      claim_id,
      error_class: errorClass,
      error_message: "connection reset",
      calls: [{ outcome: errorClass }],
      ...over,
    })),
  });

/** Everything that waits is due, and ranked. */
async function allDue(): Promise<void> {
  await database.query("update llmq.queue set run_at = clock_timestamp()");
  await callOne(on, "sweep_llm_requests");
}

const state = async () => (await database.query("select * from llmq.model_state"))[0];

describe("transient failures", () => {
  test("five in a row open the breaker, four do not, and an answer starts the count again", async () => {
    await submitMany(12);
    await fail(await claim(on, { max_requests: 4 }));
    expect(await state()).toMatchObject({ failures: 4, cooling_until: null, admit: null });
    await complete(await claim(on, { max_requests: 1 }));
    expect(await state()).toMatchObject({ failures: 0 });
    await fail(await claim(on, { max_requests: 5 }));
    expect(await state()).toMatchObject({
      error_class: "transient",
      admit: 1,
      cooling_until: expect.any(Date),
    });
    expect(await claim(on)).toEqual([]);
  });

  test("half-open: one probe, then two, four and on, and closed again at 256", async () => {
    await submitMany(400);
    await fail(await claim(on, { max_requests: 5 }));
    await passTime(database, 3);
    const rounds: number[] = [];
    for (let n = 0; n < 9; n += 1) {
      const taken = await claim(on, { max_requests: 1000 });
      rounds.push(taken.length);
      await complete(taken);
    }
    expect(rounds).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 145]);
    expect(await state()).toMatchObject({ admit: null, cooldowns: 0, failures: 0 });
  });

  test("a probe that fails opens it for twice as long, and costs the request no attempt", async () => {
    await submitMany(6);
    await fail(await claim(on, { max_requests: 5 }));
    await passTime(database, 3);
    await allDue();
    const probe = await claim(on);
    expect(probe).toHaveLength(1);
    const [before] = await database.query("select attempts from llmq.in_flight where id = $1", [
      probe[0]?.id,
    ]);
    await fail(probe);
    const [after] = await database.query("select attempts, capacity_waits from llmq.queue where id = $1", [
      probe[0]?.id,
    ]);
    expect(after).toEqual({ attempts: before?.attempts, capacity_waits: 1 });
    const [pause] = await database.query(
      "select extract(epoch from cooling_until - updated_at)::float as seconds, cooldowns from llmq.model_state",
    );
    expect(pause).toEqual({ seconds: 4, cooldowns: 2 });
  });

  test("calls that were in flight when it opened count no attempt either", async () => {
    await submitMany(20);
    const taken = await claim(on, { max_requests: 20 });
    await fail(taken);
    const rows = await database.query(
      "select attempts, count(*)::int from llmq.queue group by 1 order by 1 desc",
    );
    expect(rows).toEqual([
      { attempts: 1, count: 5 },
      { attempts: 0, count: 15 },
    ]);
  });

  test("a request that itself breaks the model fails in the end", async () => {
    await submitMany(1, { max_attempts: 2 });
    let calls = 0;
    for (; calls < 100; calls += 1) {
      await passTime(database, 600);
      await allDue();
      const taken = await claim(on);
      if (taken.length === 0) break;
      await fail(taken);
    }
    const [result] = await database.query(
      "select status, error_type, attempts, capacity_waits from llmq.results",
    );
    expect(result).toMatchObject({ status: "failed", error_type: "provider_unavailable", attempts: 2 });
    expect(calls).toBeLessThan(40);
  });

  test("one model's breaker is not another's", async () => {
    await submitMany(5);
    await submitMany(2, { model: "n" });
    await fail(await claim(on, { models: ["m"] }));
    expect(await claim(on)).toMatchObject([{ model: "n" }, { model: "n" }]);
  });
});

describe("a limit of the provider", () => {
  test("cools the model, and half of the calls may come back at once", async () => {
    await submitMany(60);
    const taken = await claim(on, { max_requests: 40 });
    await fail(taken.slice(0, 1), "capacity", { retry_after_ms: 5_000 });
    expect(await state()).toMatchObject({ error_class: "capacity", admit: 20 });
    expect(await claim(on)).toEqual([]);
    await complete(taken.slice(1));
    expect(await state()).toMatchObject({ admit: 20 });
    await passTime(database, 6);
    expect(await claim(on)).toHaveLength(20);
  });

  test("fifty refusals of one moment are one cool-down", async () => {
    await submitMany(50);
    await fail(await claim(on), "capacity", { retry_after_ms: 1_000 });
    expect(await state()).toMatchObject({ cooldowns: 1, admit: 25 });
    const rows = await database.query(
      "select attempts, capacity_waits, count(*)::int from llmq.queue group by 1, 2",
    );
    expect(rows).toEqual([{ attempts: 0, capacity_waits: 1, count: 50 }]);
  });

  test("goes on to the next model when it lasts longer than the route's fallback_after", async () => {
    await callOne(on, "configure_route", {
      complexity: "*",
      models: ["m", "n"],
      fallback_after: "10 seconds",
    });
    await submitMany(2);
    const [first, second] = await claim(on);
    await fail([first as Taken], "capacity", { retry_after_ms: 5_000 });
    await fail([second as Taken], "capacity", { retry_after_ms: 20_000 });
    const rows = await database.query(
      "select m.name, count(*)::int from llmq.queue as q join llmq.models as m on m.lane = q.lane group by 1 order by 1",
    );
    expect(rows).toEqual([
      { name: "m", count: 1 },
      { name: "n", count: 1 },
    ]);
  });
});

test.each([
  ["out_of_quota", 600],
  ["configuration", 30],
])("%s opens it at once, and one probe asks whether it is over", async (errorClass, seconds) => {
  await submitMany(3);
  await fail(await claim(on, { max_requests: 2 }), errorClass);
  expect(await state()).toMatchObject({ error_class: errorClass, admit: 1 });
  await passTime(database, seconds - 10);
  expect(await claim(on)).toEqual([]);
  await passTime(database, 11);
  expect(await claim(on)).toHaveLength(1);
  expect(await claim(on)).toEqual([]);
});
