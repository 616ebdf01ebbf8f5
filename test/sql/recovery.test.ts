import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import {
  call,
  callOne,
  claim,
  codeOf,
  configureModels,
  ledger,
  type Queryable,
  queryable,
  read,
  submit,
  unknownId,
} from "./support.ts";

let database: TestDatabase;
let on: Queryable;

beforeAll(async () => {
  database = await createTestDatabase();
  await configureModels(database);
  on = queryable(database);
});
afterAll(() => database.drop());
beforeEach(() =>
  database.query("delete from llmq.queue; delete from llmq.in_flight; delete from llmq.workers"),
);

const register = (name = "worker") => callOne<string>(on, "register_worker", { name });
const die = (workerId: string) =>
  database.query(
    "update llmq.workers set heartbeat_at = clock_timestamp() - lost_after - interval '1 s' where id = $1",
    [workerId],
  );
const recover = () => callOne<number>(on, "recover_lost_llm_requests");

test("what a dead worker held runs again, and the ledger says lost", async () => {
  const [dead, alive] = [await register("dead"), await register("alive")];
  const id = await submit(on);
  const [held] = await claim(on, { worker_id: dead });
  const other = await submit(on);
  await claim(on, { worker_id: alive });
  expect(await recover()).toBe(0);
  await die(dead);
  expect(await recover()).toBe(1);
  expect(await read(on, id)).toMatchObject({ status: "pending", attempts: 0, crashes: 1, calls: 1 });
  expect(await ledger(on, id)).toEqual(["1 lost"]);
  expect((await read(on, other)).status).toBe("processing");

  // What the dead one still reports changes nothing, whoever holds the request now.
  const stale = { request_id: id, claim_id: held?.claim_id, response: "late" };
  expect(await call(on, "complete_llm_requests", { answers: [stale] })).toEqual([
    { request_id: id, applied: false },
  ]);
  const [again] = await claim(on, { worker_id: alive });
  expect(again?.id).toBe(id);
  expect(await codeOf(call(on, "mark_completed", stale))).toBe("LQ007");
  expect(await call(on, "complete_llm_requests", { answers: [stale] })).toEqual([
    { request_id: id, applied: false },
  ]);
  await call(on, "mark_completed", { ...stale, claim_id: again?.claim_id, response: "right" });
  expect(await read(on, id)).toMatchObject({ status: "completed", response: "right", calls: 2 });
  expect(await ledger(on, id)).toEqual(["1 lost", "2 answered"]);
});

test("a worker that was given up learns it from its heartbeat, and can claim nothing", async () => {
  const worker = await register();
  expect(await callOne(on, "heartbeat_worker", { worker_id: worker })).toBe(true);
  await die(worker);
  await recover();
  expect(await callOne(on, "heartbeat_worker", { worker_id: worker })).toBe(false);
  expect(await codeOf(claim(on, { worker_id: worker }))).toBe("LQ004");
});

test("a heartbeat in time keeps everything", async () => {
  const worker = await register();
  await submit(on);
  await claim(on, { worker_id: worker });
  await die(worker);
  await callOne(on, "heartbeat_worker", { worker_id: worker, info: { version: 2 } });
  expect(await recover()).toBe(0);
});

test("the third dead worker fails the request", async () => {
  const id = await submit(on);
  for (let crash = 1; crash <= 3; crash++) {
    const worker = await register();
    await claim(on, { worker_id: worker });
    await die(worker);
    expect(await recover()).toBe(1);
  }
  expect(await read(on, id)).toMatchObject({
    status: "failed",
    error_type: "lost",
    crashes: 3,
    calls: 3,
    attempts: 0,
  });
  expect(await ledger(on, id)).toEqual(["1 lost", "2 lost", "3 lost"]);
});

test("recovery is bounded, and goes on where it stopped", async () => {
  const worker = await register();
  for (let count = 0; count < 5; count++) await submit(on);
  await claim(on, { worker_id: worker });
  await die(worker);
  expect(await callOne(on, "recover_lost_llm_requests", { max_requests: 2 })).toBe(2);
  expect(await callOne(on, "recover_lost_llm_requests", { max_requests: 2 })).toBe(2);
  expect(await callOne(on, "recover_lost_llm_requests", { max_requests: 2 })).toBe(1);
  expect(await database.query("select id from llmq.workers")).toEqual([]);
});

test("rows whose worker is gone altogether are found too, after five seconds", async () => {
  const worker = await register();
  const id = await submit(on);
  await claim(on, { worker_id: worker });
  await database.query("delete from llmq.workers");
  expect(await recover()).toBe(0);
  await database.query("update llmq.in_flight set started_at = started_at - interval '6 s'");
  expect(await recover()).toBe(1);
  expect((await read(on, id)).status).toBe("pending");
});

test("a row that is being finished at this moment is left to that", async () => {
  const worker = await register();
  const id = await submit(on);
  const [held] = await claim(on, { worker_id: worker });
  await die(worker);
  const finisher = await database.connect();
  await finisher.query("begin");
  await call(finisher, "mark_completed", { request_id: id, response: "x", claim_id: held?.claim_id });
  expect(await recover()).toBe(0);
  await finisher.query("commit");
  expect(await recover()).toBe(0);
  expect((await read(on, id)).status).toBe("completed");
});

test("what a worker gives back costs no attempt and runs again at once", async () => {
  const [worker, other] = [await register("one"), await register("two")];
  const ids = [await submit(on), await submit(on), await submit(on)];
  await claim(on, { worker_id: worker });
  expect(await callOne(on, "release_llm_requests", { worker_id: other })).toBe(0);
  expect(await callOne(on, "release_llm_requests", { worker_id: worker, request_ids: [ids[1]] })).toBe(1);
  expect(await read(on, ids[1] as string)).toMatchObject({
    status: "pending",
    attempts: 0,
    crashes: 0,
    calls: 1,
  });
  expect(await callOne(on, "release_llm_requests", { worker_id: worker })).toBe(2);
  expect(new Set((await claim(on, { worker_id: other })).map((request) => request.id))).toEqual(new Set(ids));
  expect(await ledger(on, ids[0] as string)).toEqual(["1 released"]);
});

test("a worker that leaves takes nothing with it", async () => {
  const worker = await register();
  const [kept, cancelled] = [await submit(on), await submit(on)];
  await claim(on, { worker_id: worker });
  await callOne(on, "cancel_llm_request", { request_id: cancelled });
  expect(await callOne(on, "unregister_worker", { worker_id: worker })).toBe(true);
  expect((await read(on, kept)).status).toBe("pending");
  expect(await database.query("select * from llmq.cancellations")).toEqual([]);
  expect(await callOne(on, "unregister_worker", { worker_id: worker })).toBe(false);
});

test("a cancelled call is told to its worker, once", async () => {
  const worker = await register();
  const id = await submit(on);
  const [held] = await claim(on, { worker_id: worker });
  await callOne(on, "cancel_llm_request", { request_id: id, reason: "enough" });
  expect(await read(on, id)).toMatchObject({
    status: "cancelled",
    error_message: "enough",
    error_type: null,
    calls: 1,
  });
  expect(await call(on, "take_cancellations", { worker_id: unknownId })).toEqual([]);
  expect(await call(on, "take_cancellations", { worker_id: worker })).toEqual([
    { request_id: id, claim_id: held?.claim_id },
  ]);
  expect(await call(on, "take_cancellations", { worker_id: worker })).toEqual([]);
});

test("after a standstill everybody has five seconds to say that he lives", async () => {
  const worker = await register();
  const id = await submit(on);
  await claim(on, { worker_id: worker });
  const maintain = async (sweptAt: string) => {
    await database.query(`update llmq.sweep_state set swept_at = clock_timestamp() - interval '${sweptAt}'`);
    return (await callOne<{ recovered: number }>(on, "maintain")).recovered;
  };
  await die(worker);
  expect(await maintain("11 seconds")).toBe(0);
  expect(await maintain("1 second")).toBe(0);
  await callOne(on, "heartbeat_worker", { worker_id: worker });
  await database.query("update llmq.sweep_state set recover_from = clock_timestamp()");
  expect(await maintain("1 second")).toBe(0);
  await die(worker);
  // Slow, but no standstill: a worker is lost after 20 seconds.
  expect(await maintain("9 seconds")).toBe(1);
  expect(await read(on, id)).toMatchObject({ status: "pending", crashes: 1 });
});

test("a worker whose heartbeats wait behind a lock is not lost", async () => {
  const worker = await register();
  await submit(on);
  await claim(on, { worker_id: worker });
  await database.query("update llmq.workers set lost_after = '1 second', heartbeat_at = clock_timestamp()");
  const [locker, recoverer] = [await database.connect(), await database.connect()];
  await locker.query("begin; lock table llmq.workers in access exclusive mode");
  const recovered = callOne<number>(recoverer, "recover_lost_llm_requests");
  await eventually(async () => {
    const waiting = await database.query(
      "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%recover_lost%'",
    );
    return waiting.length > 0;
  });
  await locker.query("select pg_sleep(1.5); commit");
  expect(await recovered).toBe(0);
});

test("a claim whose row is locked is busy, the others are not", async () => {
  const worker = await register();
  for (let index = 0; index < 2; index += 1) await submit(on);
  const [held, free] = await claim(on, { worker_id: worker, max_requests: 2 });
  const locker = await database.connect();
  await locker.query("begin");
  await locker.query("select llmq.cancel_llm_request($1)", [held?.id]);
  const answers = [held, free].map((one) => ({
    request_id: one?.id,
    claim_id: one?.claim_id,
    response: "yes",
  }));
  expect(await codeOf(call(on, "complete_llm_requests", { answers }))).toBe("55P03");
  const busy = await call(on, "busy_claims", { claim_ids: [held?.claim_id, free?.claim_id] });
  expect(busy.map((row) => row.busy_claims)).toEqual([held?.claim_id]);
  await locker.query("rollback");
  expect(await call(on, "complete_llm_requests", { answers })).toMatchObject([
    { applied: true },
    { applied: true },
  ]);
});

test("a worker can ask which of its claims it holds no more", async () => {
  const [worker, other] = [await register(), await register()];
  for (let index = 0; index < 3; index += 1) await submit(on);
  const [kept, cancelled, released] = await claim(on, { worker_id: worker, max_requests: 3 });
  await callOne(on, "cancel_llm_request", { request_id: cancelled?.id });
  await call(on, "release_llm_requests", { worker_id: worker, request_ids: [released?.id] });
  await claim(on, { worker_id: other });
  const claims = [kept, cancelled, released].map((one) => one?.claim_id);
  const lost = await call(on, "lost_claims", { worker_id: worker, claim_ids: claims });
  expect(lost.map((row) => row.lost_claims)).toEqual([cancelled?.claim_id, released?.claim_id]);
});

test("whoever claims without a worker gets one for the session", async () => {
  const [one, two] = [await database.connect(), await database.connect()];
  const ids = [await submit(on), await submit(on), await submit(on)];
  await claim(one, { max_requests: 1 });
  await claim(one, { max_requests: 1 });
  await claim(two, { max_requests: 1 });
  const rows = await database.query<{ worker_id: string }>(
    "select worker_id from llmq.in_flight order by claim_id",
  );
  expect(rows[1]?.worker_id).toBe(rows[0]?.worker_id);
  expect(rows[2]?.worker_id).not.toBe(rows[0]?.worker_id);
  await die(rows[0]?.worker_id as string);
  expect(await recover()).toBe(2);
  expect((await read(on, ids[0] as string)).status).toBe("pending");
});
