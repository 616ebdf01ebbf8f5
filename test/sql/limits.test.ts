import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { call, callOne, claim, passTime, submit } from "./support.ts";

let database: TestDatabase;
let on: pg.Client;
let other: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  [on, other] = await Promise.all([database.connect(), database.connect()]);
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.query(`
    truncate llmq.queue, llmq.in_flight, llmq.requests, llmq.results, llmq.attempts, llmq.usage, llmq.model_state, llmq.token_estimates;
    delete from llmq.lane_marks; delete from llmq.routes; delete from llmq.models; delete from llmq.providers;
    select llmq.configure_provider('sim', 'sim');
    select llmq.configure_model('m', 'sim');
    select llmq.configure_model('n', 'sim');
    select llmq.configure_route('*', array['m']);
  `);
});

async function submitMany(count: number, over: Record<string, unknown> = {}): Promise<void> {
  for (let n = 0; n < count; n += 1) await submit(on, over);
}

const complete = (requests: { id: string; claim_id: string }[], over: object = {}, client = on) =>
  call(client, "complete_llm_requests", {
    answers: requests.map((request) => ({
      request_id: request.id,
      claim_id: request.claim_id,
      response: "done",
      calls: [{ outcome: "answered", status_code: 200, input_tokens: 10, output_tokens: 5, ...over }],
    })),
  });

describe("requests per minute", () => {
  test("no more than the limit start in a minute, and the next as soon as the first are past", async () => {
    await callOne(on, "configure_model", { name: "m", requests_per_minute: 5 });
    await submitMany(12);
    expect(await claim(on)).toHaveLength(5);
    expect(await claim(on)).toHaveLength(0);
    await passTime(database, 55);
    expect(await claim(on)).toHaveLength(0);
    await passTime(database, 6);
    expect(await claim(on)).toHaveLength(5);
  });

  test("from 60 on, a tenth of the limit in any six seconds", async () => {
    await callOne(on, "configure_model", { name: "m", requests_per_minute: 60 });
    await submitMany(20);
    expect(await claim(on)).toHaveLength(6);
    await passTime(database, 3);
    expect(await claim(on)).toHaveLength(0);
    await passTime(database, 3.2);
    expect(await claim(on)).toHaveLength(6);
  });

  test("a limited model holds nobody else up", async () => {
    await callOne(on, "configure_model", { name: "m", requests_per_minute: 1 });
    await submitMany(3);
    await submitMany(3, { model: "n" });
    expect((await claim(on)).map((request) => request.model).sort()).toEqual(["m", "n", "n", "n"]);
  });

  test("the provider's limit holds over all its models", async () => {
    await callOne(on, "configure_provider", { name: "sim", requests_per_minute: 4 });
    await submitMany(3);
    await submitMany(3, { model: "n" });
    expect(await claim(on)).toHaveLength(4);
    expect(await claim(on)).toHaveLength(0);
  });

  test("while one claim has the lane open, another takes nothing from it and does not wait", async () => {
    await callOne(on, "configure_model", { name: "m", requests_per_minute: 5 });
    await submitMany(8);
    await on.query("begin");
    expect(await claim(on, { max_requests: 2 })).toHaveLength(2);
    expect(await claim(other)).toHaveLength(0);
    await on.query("commit");
    expect(await claim(other)).toHaveLength(3);
  });

  test("a claim that is rolled back takes nothing", async () => {
    await callOne(on, "configure_model", { name: "m", requests_per_minute: 5 });
    await submitMany(8);
    await on.query("begin");
    await claim(on);
    await on.query("rollback");
    expect(await claim(on)).toHaveLength(5);
  });

  test("a call that never left gives its place back, one that was refused does not", async () => {
    await callOne(on, "configure_model", { name: "m", requests_per_minute: 2 });
    await submitMany(4);
    const [never, refused] = await claim(on);
    const failure = { error_class: "bad_request", error_message: "no" };
    await call(on, "fail_llm_requests", {
      failures: [
        { request_id: never?.id, claim_id: never?.claim_id, ...failure, calls: [] },
        {
          request_id: refused?.id,
          claim_id: refused?.claim_id,
          ...failure,
          calls: [{ outcome: "bad_request", status_code: 400 }],
        },
      ],
    });
    expect(await claim(on)).toHaveLength(1);
  });

  test("asking again within a call counts", async () => {
    await callOne(on, "configure_model", { name: "m", requests_per_minute: 3 });
    await submitMany(4);
    const first = await claim(on, { max_requests: 1 });
    await call(on, "complete_llm_requests", {
      answers: [
        {
          request_id: first[0]?.id,
          claim_id: first[0]?.claim_id,
          response: "x",
          calls: [{ outcome: "invalid" }, { outcome: "answered" }],
        },
      ],
    });
    expect(await claim(on)).toHaveLength(1);
  });

  test("what the provider says is left goes before our own count, until its reset", async () => {
    await callOne(on, "configure_model", { name: "m", requests_per_minute: 50 });
    await submitMany(60);
    const first = await claim(on, { max_requests: 1 });
    await call(on, "complete_llm_requests", {
      answers: [
        {
          request_id: first[0]?.id,
          claim_id: first[0]?.claim_id,
          response: "x",
          rate_limit: { requests: { limit: 50, remaining: 3, reset_ms: 20_000 } },
          calls: [{ outcome: "answered" }],
        },
      ],
    });
    expect(await claim(on)).toHaveLength(3);
    await passTime(database, 21);
    expect(await claim(on)).toHaveLength(46);
  });
});

describe("what a provider says is left", () => {
  test("may be any number there is", async () => {
    await callOne(on, "configure_model", { name: "m", requests_per_minute: 50 });
    await submitMany(60);
    const answers = (await claim(on, { max_requests: 3 })).map(({ id, claim_id }, index) => ({
      request_id: id,
      claim_id,
      response: "x",
      rate_limit: { requests: { remaining: [2 ** 64, 1e300, -1e300][index], reset_ms: 0 } },
      calls: [{ outcome: "answered" }],
    }));
    const applied = await call(on, "complete_llm_requests", { answers });
    expect(applied.map((row) => row.applied)).toEqual([true, true, true]);
  });
});

describe("concurrency", () => {
  test("so many calls are in flight at once, and each end makes room for one", async () => {
    await callOne(on, "configure_model", { name: "m", max_concurrency: 3 });
    await submitMany(6);
    const first = await claim(on);
    expect(first).toHaveLength(3);
    expect(first[0]).toMatchObject({ concurrency_limited: true });
    expect(await claim(on)).toHaveLength(0);
    await complete(first.slice(0, 2));
    expect(await claim(on)).toHaveLength(2);
    expect(await claim(on)).toHaveLength(0);
  });

  test("what a worker took with it to its end is room again when it is recovered", async () => {
    await callOne(on, "configure_model", { name: "m", max_concurrency: 2 });
    await submitMany(2);
    const worker = await callOne<string>(on, "register_worker", { name: "dies", lost_after: "1 second" });
    expect(await claim(on, { worker_id: worker })).toHaveLength(2);
    await database.query("update llmq.workers set heartbeat_at = heartbeat_at - interval '1 minute'");
    expect(await callOne(on, "recover_lost_llm_requests")).toBe(2);
    expect(await claim(on)).toHaveLength(2);
  });

  test("of a provider: over all its models", async () => {
    await callOne(on, "configure_provider", { name: "sim", max_concurrency: 3 });
    await submitMany(3);
    await submitMany(3, { model: "n" });
    const first = await claim(on);
    expect(first).toHaveLength(3);
    await complete(first.slice(0, 1));
    expect(await claim(on)).toHaveLength(1);
  });
});

describe("tokens per minute", () => {
  const long = [{ role: "user", content: "x".repeat(3_000) }];

  test("a prompt reserves what its size says, and the lane waits for the rest", async () => {
    await callOne(on, "configure_model", { name: "m", input_tokens_per_minute: 2500 });
    await submitMany(4, { messages: long });
    expect(await claim(on)).toHaveLength(2);
    expect(await claim(on)).toHaveLength(0);
    const [usage] = await database.query("select sum(input_tokens)::int as tokens from llmq.usage");
    expect(usage?.tokens).toBeGreaterThan(2000);
    expect(usage?.tokens).toBeLessThan(2300);
  });

  test("what was not used comes back when the call ends, as of its start", async () => {
    await callOne(on, "configure_model", { name: "m", output_tokens_per_minute: 1000 });
    await submitMany(6, { settings: { max_tokens: 500 } });
    const first = await claim(on);
    expect(first).toHaveLength(2);
    await passTime(database, 30);
    await complete(first, { output_tokens: 100 });
    expect(await claim(on)).toHaveLength(1);
    // The two first leave the window with what they gave back: 1,000 less the one of 500.
    await passTime(database, 32);
    expect(await claim(on)).toHaveLength(1);
  });

  test("what was used beyond the reservation counts too", async () => {
    await callOne(on, "configure_model", { name: "m", output_tokens_per_minute: 1000 });
    await submitMany(6, { settings: { max_tokens: 300 } });
    const first = await claim(on, { max_requests: 1 });
    await complete(first, { output_tokens: 600 });
    expect(await claim(on)).toHaveLength(1);
  });

  test("both together, where the provider counts them so", async () => {
    await callOne(on, "configure_model", { name: "m", tokens_per_minute: 1000 });
    await submitMany(6, { settings: { max_tokens: 400 } });
    expect(await claim(on)).toHaveLength(2);
  });

  test("a request larger than the limit runs alone, when nothing else was used", async () => {
    await callOne(on, "configure_model", { name: "m", input_tokens_per_minute: 100 });
    await submitMany(2, { messages: long });
    expect(await claim(on)).toHaveLength(1);
    await passTime(database, 30);
    expect(await claim(on)).toHaveLength(0);
    await passTime(database, 32);
    expect(await claim(on)).toHaveLength(1);
  });

  test("small requests do not overtake a large one that waits for room", async () => {
    await callOne(on, "configure_model", { name: "m", input_tokens_per_minute: 1200 });
    await submit(on, { agent_id: "a" });
    const large = await submit(on, {
      agent_id: "a",
      messages: [{ role: "user", content: "x".repeat(3_500) }],
    });
    const small = await submit(on, { agent_id: "a" });
    expect(await claim(on)).toHaveLength(1);
    expect(await claim(on)).toHaveLength(0);
    await passTime(database, 62);
    expect((await claim(on)).map((request) => request.id)).toEqual([large]);
    await passTime(database, 62);
    expect((await claim(on)).map((request) => request.id)).toEqual([small]);
  });

  test("how a model counts is learned from what it says", async () => {
    await callOne(on, "configure_model", { name: "m", tokens_per_minute: 1_000_000 });
    await submitMany(40, { messages: long });
    for (let n = 0; n < 4; n += 1) {
      await complete(await claim(on, { max_requests: 10 }), { input_tokens: 500, output_tokens: 40 + n });
    }
    const [learned] = await database.query("select * from llmq.token_estimates");
    expect(learned).toMatchObject({ samples: "40" });
    expect(learned?.input_factor).toBeGreaterThan(0.4);
    expect(learned?.input_factor).toBeLessThan(0.7);
    expect(learned?.output_p90).toBeGreaterThan(35);
    expect(learned?.output_p90).toBeLessThan(60);
  });

  test("a call that was lost keeps what it reserved, one that was refused gives it back", async () => {
    await callOne(on, "configure_model", { name: "m", output_tokens_per_minute: 1000 });
    await submitMany(6, { settings: { max_tokens: 500 } });
    const [first, second] = await claim(on);
    await call(on, "fail_llm_requests", {
      failures: [
        {
          request_id: first?.id,
          claim_id: first?.claim_id,
          error_class: "bad_request",
          error_message: "no",
          calls: [{ outcome: "bad_request", status_code: 400 }],
        },
        {
          request_id: second?.id,
          claim_id: second?.claim_id,
          error_class: "refused",
          error_message: "cut",
          calls: [{ outcome: "transient" }],
        },
      ],
    });
    expect(await claim(on)).toHaveLength(1);
  });
});

test("every call of a claim counts against the limits", async () => {
  await callOne(on, "configure_model", { name: "m", tokens_per_minute: 1_000_000 });
  await submitMany(1);
  const [taken] = await claim(on);
  const made = (outcome: string) => [{ outcome, input_tokens: 30, output_tokens: 20 }];
  const held = { request_id: taken?.id, claim_id: taken?.claim_id };
  expect(await callOne(on, "note_llm_calls", { ...held, calls: made("invalid") })).toBe(true);
  await call(on, "complete_llm_requests", {
    answers: [{ ...held, response: "yes", calls: made("answered") }],
  });
  const use = await database.query(
    "select u.requests, u.input_tokens, u.output_tokens from llmq.models as m, llmq.meter_use(m.lane, array[m.lane], clock_timestamp()) as u where m.name = 'm'",
  );
  expect(use).toEqual([{ requests: "2", input_tokens: "60", output_tokens: "40" }]);
});

test("sums stay what they are when their rows are put together", async () => {
  await callOne(on, "configure_model", { name: "m", tokens_per_minute: 1_000_000, max_concurrency: 1000 });
  await submitMany(210);
  for (let n = 0; n < 210; n += 1) await claim(on, { max_requests: 1 });
  await passTime(database, 10);
  const use = () =>
    database.query(
      "select u.requests, u.input_tokens, u.output_tokens, u.in_flight from llmq.models as m, llmq.meter_use(m.lane, array[m.lane], clock_timestamp()) as u where m.name = 'm'",
    );
  const before = await use();
  expect(before).toMatchObject([{ requests: "210", in_flight: "210" }]);
  expect(await callOne<number>(on, "compact_usage")).toBeGreaterThan(0);
  expect(await use()).toEqual(before);
  const [rows] = await database.query("select count(*)::int as count from llmq.usage");
  expect(rows?.count).toBeLessThan(50);
});
