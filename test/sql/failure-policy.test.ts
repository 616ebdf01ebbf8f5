import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import {
  call,
  callOne,
  codeOf,
  configureModels,
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
beforeEach(() => database.query("delete from llmq.model_state; delete from llmq.queue"));

type Failure = { error_class: string; error_message?: string; retry_after_ms?: number } & Record<
  string,
  unknown
>;

/** Between which moments, by the database's clock, the last failure was dealt with. */
let dealtWith: { after: Date; before: Date };
const clock = async () => (await database.query("select clock_timestamp() as now"))[0]?.now as Date;

/** Takes the request and reports this failure; the row as the view shows it afterwards. */
async function failOnce(id: string, failure: Failure): Promise<Record<string, unknown>> {
  const after = await clock();
  const claimId = await callOne(on, "mark_processing", { request_id: id });
  const [answer] = await call(on, "fail_llm_requests", {
    failures: [
      {
        request_id: id,
        claim_id: claimId,
        error_message: "it broke",
        calls: [{ outcome: failure.error_class === "deadline" ? "deadline" : failure.error_class }],
        ...failure,
      },
    ],
  });
  dealtWith = { after, before: await clock() };
  expect(answer?.applied).toBe(true);
  const row = await read(on, id);
  expect(answer?.status).toBe(row.status);
  return row;
}
/** That this moment is so many milliseconds behind the last failure, however slow the machine is. */
function expectBehindFailure(moment: Date | undefined, leastMs: number, mostMs = leastMs): void {
  // A Date has whole milliseconds, a timestamp parts of them.
  expect(moment?.getTime()).toBeGreaterThanOrEqual(dealtWith.after.getTime() + leastMs - 1);
  expect(moment?.getTime()).toBeLessThanOrEqual(dealtWith.before.getTime() + mostMs + 1);
}
const expectPause = async (id: string, leastMs: number, mostMs = leastMs) => {
  const [row] = await database.query<{ run_at: Date }>("select run_at from llmq.queue where id = $1", [id]);
  expectBehindFailure(row?.run_at, leastMs, mostMs);
};
const coolingUntil = async (model: string) => {
  const [row] = await database.query<{ cooling_until: Date }>(
    "select s.cooling_until from llmq.model_state s join llmq.models using (lane) where name = $1",
    [model],
  );
  return row?.cooling_until;
};
const expectCooling = async (model: string, ms: number) => expectBehindFailure(await coolingUntil(model), ms);
const coolOver = () => database.query("update llmq.model_state set cooling_until = clock_timestamp()");
const counters = { attempts: 0, capacity_waits: 0, reasks: 0, crashes: 0 };

describe("transient", () => {
  test("counts, backs off, and takes the next model after the second", async () => {
    const id = await submit(on);
    const seen: unknown[] = [];
    for (let attempt = 1; attempt <= 4; attempt++) {
      const row = await failOnce(id, { error_class: "transient" });
      expect(row).toMatchObject({ ...counters, status: "pending", attempts: attempt, calls: attempt });
      expect(row).toMatchObject({ error_type: "provider_unavailable", error_message: "it broke" });
      seen.push(row.model);
      const whole = 1000 * 2 ** (attempt - 1);
      await expectPause(id, whole / 2, whole);
    }
    expect(seen).toEqual(["first", "second", "third", "third"]);
    expect(await ledger(on, id)).toEqual(["1 transient", "2 transient", "3 transient", "4 transient"]);
  });

  test("never backs off for longer than retry_max, and at least as long as the provider asks", async () => {
    const id = await submit(on, { max_attempts: 1000 });
    await database.query("update llmq.queue set attempts = 500 where id = $1", [id]);
    await failOnce(id, { error_class: "transient" });
    await expectPause(id, 150_000, 300_000);
    const asked = await submit(on);
    await failOnce(asked, { error_class: "transient", retry_after_ms: 90_000 });
    await expectPause(asked, 90_000);
  });

  test("fails at max_attempts, and says that the provider is unavailable", async () => {
    const id = await submit(on, { max_attempts: 2 });
    expect((await failOnce(id, { error_class: "transient" })).status).toBe("pending");
    expect(await failOnce(id, { error_class: "transient" })).toMatchObject({
      ...counters,
      status: "failed",
      attempts: 2,
      calls: 2,
      error_type: "provider_unavailable",
      error_message: "LLM provider unavailable: it broke",
    });
  });
});

test("exception counts and backs off, but stays with its model", async () => {
  const id = await submit(on, { max_attempts: 4 });
  for (const attempts of [1, 2, 3]) {
    expect(await failOnce(id, { error_class: "exception" })).toMatchObject({
      ...counters,
      attempts,
      model: "first",
    });
  }
  expect(await failOnce(id, { error_class: "exception" })).toMatchObject({
    status: "failed",
    error_type: "exception",
    error_message: "it broke",
  });
});

describe("capacity", () => {
  test("is no attempt; the model cools down as long as the provider asks, and the request waits for it", async () => {
    const id = await submit(on);
    const row = await failOnce(id, { error_class: "capacity", retry_after_ms: 42_000 });
    expect(row).toMatchObject({ ...counters, status: "pending", capacity_waits: 1, model: "first" });
    await expectCooling("first", 42_000);
    expect(await coolingUntil("second")).toBeUndefined();
    expect(await call(on, "claim_pending_llm_requests", { models: ["first"] })).toEqual([]);
  });

  test("doubles the cool-down each time, up to five minutes, until the model answers", async () => {
    const id = await submit(on);
    for (const seconds of [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]) {
      await failOnce(id, { error_class: "capacity" });
      await expectCooling("first", seconds * 1000);
      await coolOver();
    }

    const other = await submit(on);
    await callOne(on, "mark_processing", { request_id: other });
    await callOne(on, "mark_completed", { request_id: other, response: "well again" });
    await failOnce(id, { error_class: "capacity" });
    await expectCooling("first", 1000);
  });

  test("a provider that always says 0 is asked less and less often, and one that says a year in a day", async () => {
    const id = await submit(on);
    for (const seconds of [1, 2, 4, 8]) {
      await failOnce(id, { error_class: "capacity", retry_after_ms: 0 });
      await expectCooling("first", seconds * 100);
      await coolOver();
    }
    for (const tooLong of [31_536_000_000, 1e30]) {
      await database.query("delete from llmq.model_state");
      await failOnce(id, { error_class: "capacity", retry_after_ms: tooLong });
      await expectCooling("first", 86_400_000);
    }
    await database.query("delete from llmq.model_state");
    const other = await submit(on);
    await failOnce(other, { error_class: "transient", retry_after_ms: 1e30 });
    await expectPause(other, 86_400_000);
  });

  test("many failures of one cool-down are one", async () => {
    // Longer than five failures take.
    const failure = { error_class: "capacity", retry_after_ms: 60_000 };
    for (let time = 0; time < 5; time++) await failOnce(await submit(on), failure);
    const [row] = await database.query("select cooldowns from llmq.model_state");
    expect(row?.cooldowns).toBe(1);
  });

  test("a shorter wish does not end a longer cool-down", async () => {
    await failOnce(await submit(on), { error_class: "capacity", retry_after_ms: 60_000 });
    await failOnce(await submit(on), { error_class: "capacity", retry_after_ms: 1000 });
    expect((await coolingUntil("first"))?.getTime()).toBeGreaterThan(dealtWith.before.getTime() + 30_000);
  });

  test("falls back when waiting would break the deadline", async () => {
    const id = await submit(on, { deadline: new Date(Date.now() + 30_000) });
    expect(await failOnce(id, { error_class: "capacity", retry_after_ms: 60_000 })).toMatchObject({
      model: "second",
      capacity_waits: 1,
      attempts: 0,
    });
  });
});

test("out_of_quota cools every model of the provider for ten minutes, and falls back", async () => {
  await database.query(`
    select llmq.configure_provider('elsewhere', 'sim');
    select llmq.configure_model('far', 'elsewhere');
    select llmq.configure_route('*', array['first', 'far'], 'two providers');
  `);
  const id = await submit(on, { task_type: "two providers" });
  const row = await failOnce(id, { error_class: "out_of_quota" });
  expect(row).toMatchObject({ ...counters, status: "pending", model: "far", capacity_waits: 1 });
  for (const model of ["first", "second", "third", "alone"]) {
    await expectCooling(model, 600_000);
  }
  expect(await coolingUntil("far")).toBeUndefined();
});

test("configuration cools the model for half a minute and falls back; at the end of the route it waits", async () => {
  const id = await submit(on);
  expect(await failOnce(id, { error_class: "configuration" })).toMatchObject({
    model: "second",
    attempts: 0,
  });
  expect(await failOnce(id, { error_class: "configuration" })).toMatchObject({ model: "third", attempts: 0 });
  expect(await failOnce(id, { error_class: "configuration" })).toMatchObject({
    ...counters,
    model: "third",
    status: "pending",
    capacity_waits: 3,
  });
  await expectCooling("third", 30_000);
});

describe("too_long", () => {
  test("goes to the next model with a larger context, at once and without an attempt", async () => {
    await database.query("select llmq.configure_route('*', array['second', 'first', 'third'], 'long')");
    const id = await submit(on, { task_type: "long" });
    expect(await failOnce(id, { error_class: "too_long" })).toMatchObject({
      ...counters,
      status: "pending",
      model: "third",
    });
    await expectPause(id, 0);
    expect(await failOnce(id, { error_class: "too_long" })).toMatchObject({
      status: "failed",
      error_type: "too_long",
      error_message: "it broke",
    });
  });
});

test("invalid goes to the next model; at the end it fails with the answer kept", async () => {
  const id = await submit(on);
  const answer = { response: "{bad", validation_errors: [{ type: "json_decode_error" }], reasks: 1 };
  expect(await failOnce(id, { error_class: "invalid", ...answer })).toMatchObject({
    model: "second",
    attempts: 1,
    reasks: 1,
    error_type: "malformed_response",
  });
  await failOnce(id, { error_class: "invalid", ...answer });
  expect(await failOnce(id, { error_class: "invalid", ...answer })).toMatchObject({
    status: "failed",
    attempts: 3,
    reasks: 3,
    error_type: "malformed_response",
    response: "{bad",
    validation_errors: [{ type: "json_decode_error" }],
  });
});

test.each(["refused", "truncated", "bad_request"])("%s fails at once", async (errorClass) => {
  const id = await submit(on);
  expect(await failOnce(id, { error_class: errorClass })).toMatchObject({
    ...counters,
    status: "failed",
    error_type: errorClass,
    attempts: 1,
    calls: 1,
  });
});

test("deadline fails at once, and is no attempt", async () => {
  const id = await submit(on);
  expect(await failOnce(id, { error_class: "deadline" })).toMatchObject({
    ...counters,
    status: "failed",
    error_type: "deadline_exceeded",
  });
});

test("a deadline that passes says what failed last", async () => {
  const ids = [await submit(on), await submit(on)];
  await failOnce(ids[0] ?? "", { error_class: "configuration", error_message: "no such model" });
  await database.query("update llmq.queue set deadline = clock_timestamp()");
  expect(await callOne(on, "expire_llm_requests")).toBe(2);
  const messages = await Promise.all(ids.map(async (id) => (await read(on, id)).error_message));
  expect(messages).toEqual([
    "The deadline passed before the request was finished; last failure: no such model",
    "The deadline passed before the request was finished",
  ]);
});

test("the third crash fails a request", async () => {
  const id = await submit(on);
  for (const crashes of [1, 2]) {
    const row = await failOnce(id, { error_class: "lost" });
    expect(row).toMatchObject({ ...counters, status: "pending", crashes });
    await expectPause(id, 0);
  }
  expect(await failOnce(id, { error_class: "lost" })).toMatchObject({
    status: "failed",
    error_type: "lost",
    crashes: 3,
  });
});

describe("no fall-back", () => {
  test.each(["transient", "configuration", "out_of_quota", "invalid", "too_long"])(
    "for a request that names its model, after %s",
    async (errorClass) => {
      const id = await submit(on, { model: "first" });
      await database.query("update llmq.queue set attempts = 2 where id = $1", [id]);
      expect((await failOnce(id, { error_class: errorClass })).model).toBe("first");
    },
  );

  test("for a request that asks for an external worker", async () => {
    const id = await submit(on, { context: { executor: "external" } });
    for (let time = 0; time < 3; time++) {
      expect(await failOnce(id, { error_class: "transient" })).toMatchObject({
        status: "pending",
        model: "external",
      });
    }
  });

  test("to a model that is paused", async () => {
    await database.query("select llmq.configure_model('second', 'sim', paused => true)");
    const id = await submit(on);
    expect((await failOnce(id, { error_class: "configuration" })).model).toBe("third");
    await database.query("select llmq.configure_model('second', 'sim', paused => false)");
  });
});

describe("a batch", () => {
  test("may name a request twice: only its newest claim counts, and a repeated report once", async () => {
    const [one, two] = [await submit(on), await submit(on)];
    const stale = await callOne<string>(on, "mark_processing", { request_id: one });
    await database.query("select llmq.release_llm_requests(worker_id) from llmq.in_flight where id = $1", [
      one,
    ]);
    const held = await callOne<string>(on, "mark_processing", { request_id: one });
    const other = await callOne<string>(on, "mark_processing", { request_id: two });
    const answers = [
      { request_id: one, claim_id: stale, response: "late" },
      { request_id: one, claim_id: held, response: "right" },
      {
        request_id: two,
        claim_id: other,
        response: "once",
        calls: [{ outcome: "answered", input_tokens: 3 }],
      },
      {
        request_id: two,
        claim_id: other,
        response: "twice",
        calls: [{ outcome: "answered", input_tokens: 3 }],
      },
    ];
    const rows = await call(on, "complete_llm_requests", { answers });
    expect(rows.map((row) => row.applied)).toEqual([false, true, true, false]);
    expect((await read(on, one)).response).toBe("right");
    expect(await read(on, two)).toMatchObject({ response: "once", input_tokens: "3", calls: 1 });
  });

  test("that mixes up two claims is refused, and both requests stay as they are", async () => {
    const [one, two] = [await submit(on), await submit(on)];
    const first = await callOne<string>(on, "mark_processing", { request_id: one });
    const second = await callOne<string>(on, "mark_processing", { request_id: two });
    const answers = [
      { request_id: one, claim_id: second, response: "x" },
      { request_id: two, claim_id: first, response: "x" },
    ];
    expect(await codeOf(call(on, "complete_llm_requests", { answers }))).toBe("LQ001");
    expect((await read(on, one)).status).toBe("processing");
    expect((await read(on, two)).status).toBe("processing");
  });

  test("of failures likewise", async () => {
    const id = await submit(on);
    const claimId = await callOne<string>(on, "mark_processing", { request_id: id });
    const failure = {
      request_id: id,
      claim_id: claimId,
      error_class: "refused",
      calls: [{ outcome: "refused" }],
    };
    const rows = await call(on, "fail_llm_requests", {
      failures: [failure, { ...failure, claim_id: 1 }, failure],
    });
    expect(rows.map((row) => row.applied)).toEqual([true, false, false]);
    expect(await ledger(on, id)).toEqual(["1 refused"]);
  });

  test("that cools the same models in another order does not deadlock", async () => {
    const pool = database.pool({ max: 4 });
    const failures: Record<string, unknown>[] = [];
    for (let place = 0; place < 40; place++) {
      const id = await submit(on, { model: place % 2 === 0 ? "first" : "second" });
      const claimId = await callOne<string>(on, "mark_processing", { request_id: id });
      failures.push({ request_id: id, claim_id: claimId, error_class: "capacity", calls: null });
    }
    const batches = [0, 1, 2, 3].map((part) => {
      const batch = failures.slice(part * 10, part * 10 + 10);
      return part % 2 === 0 ? batch : batch.slice(1);
    });
    const answers = await Promise.all(
      batches.map((batch) => call(pool, "fail_llm_requests", { failures: batch })),
    );
    for (const rows of answers) expect(rows.every((row) => row.applied)).toBe(true);
  });

  test("refuses what is no array, and an unknown class", async () => {
    for (const failures of ["{}", '[{"error_class": "x"}]', "[{}]", "null"]) {
      expect(await codeOf(call(on, "fail_llm_requests", { failures }))).toBe("LQ001");
    }
    for (const answers of ["{}", "null", "7"]) {
      expect(await codeOf(call(on, "complete_llm_requests", { answers }))).toBe("LQ001");
    }
  });
});

test("totals of tokens and cost count every call of a request, failed ones too", async () => {
  const id = await submit(on);
  const used = {
    input_tokens: 10,
    output_tokens: 2,
    cached_input_tokens: 4,
    reasoning_tokens: 1,
    cost_usd: 0.25,
  };
  await failOnce(id, { error_class: "transient", calls: [{ outcome: "transient", ...used }] });
  await callOne(on, "mark_processing", { request_id: id });
  await call(on, "mark_completed", {
    request_id: id,
    response: "x",
    calls: [
      { outcome: "invalid", ...used },
      { outcome: "answered", ...used },
    ],
  });
  expect(await read(on, id)).toMatchObject({
    calls: 3,
    input_tokens: "30",
    output_tokens: "6",
    cached_input_tokens: "12",
    reasoning_tokens: "3",
    cost_usd: "0.75",
  });
  expect(await ledger(on, id)).toEqual(["1 transient", "2 invalid", "3 answered"]);
});

test("a request whose model was deleted can still be ended, with its history", async () => {
  await database.query("select llmq.configure_model('short-lived', 'sim')");
  const [one, two] = [await submit(on, { model: "short-lived" }), await submit(on, { model: "short-lived" })];
  await callOne(on, "mark_processing", { request_id: two });
  await database.query("delete from llmq.models where name = 'short-lived'");
  expect(await callOne(on, "cancel_llm_request", { request_id: one })).toBe(true);
  expect(await read(on, one)).toMatchObject({ status: "cancelled", model: null });
  await call(on, "mark_completed", { request_id: two, response: "x" });
  expect(await read(on, two)).toMatchObject({ status: "completed", calls: 1 });
});
