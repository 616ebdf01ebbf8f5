import fc from "fast-check";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type Claimed, call, callOne, claim, codeOf, configureModels, submit, unknownId } from "./support.ts";

/**
 * What the database should hold, kept in a few lines: any order of calls over several connections must end
 * where this ends. Time plays no part: whatever may run at a later moment is made due at once.
 */
type Expected = {
  status: "pending" | "processing" | "completed" | "failed" | "cancelled";
  claimId: string | undefined;
  worker: number | undefined;
  attempts: number;
  crashes: number;
  waits: number;
  /** Every claim that ever held it. */
  claims: string[];
  /** Outcomes of the ledger, in order. */
  calls: string[];
  /** Place in the route, from 1; 0 for a request that named its model. */
  step: number;
  maxAttempts: number;
  deadline: boolean;
};
type Model = { requests: Map<string, Expected> };
type Real = { database: TestDatabase; connections: pg.Client[]; workers: string[] };
type Command = fc.AsyncCommand<Model, Real>;

const routeLength = 3;
const classes = [
  "transient",
  "exception",
  "capacity",
  "configuration",
  "too_long",
  "invalid",
  "refused",
  "truncated",
  "bad_request",
  "deadline",
  "lost",
] as const;
type ErrorClass = (typeof classes)[number];
const unfinished = (request: Expected) => request.status === "pending" || request.status === "processing";
const release = (request: Expected, outcome: string) => {
  Object.assign(request, { status: "pending", claimId: undefined, worker: undefined });
  request.calls.push(outcome);
};
const end = (request: Expected, status: Expected["status"], outcome?: string) => {
  Object.assign(request, { status, claimId: undefined, worker: undefined });
  if (outcome) request.calls.push(outcome);
};

/** The retry policy once more, as the table of sql/internal/decide_failure.sql has it. */
function fail(request: Expected, errorClass: ErrorClass): void {
  const more = request.step > 0 && request.step < routeLength;
  const counts = ["transient", "exception", "invalid", "refused", "truncated", "bad_request"].includes(
    errorClass,
  );
  if (counts) request.attempts++;
  if (errorClass === "lost") request.crashes++;
  if (errorClass === "capacity" || errorClass === "configuration") request.waits++;
  const again = {
    transient: request.attempts < request.maxAttempts,
    exception: request.attempts < request.maxAttempts,
    capacity: true,
    configuration: true,
    too_long: more,
    invalid: more && request.attempts < request.maxAttempts,
    lost: request.crashes < 3,
    refused: false,
    truncated: false,
    bad_request: false,
    deadline: false,
  }[errorClass];
  const moves =
    errorClass === "configuration" ||
    errorClass === "too_long" ||
    errorClass === "invalid" ||
    (errorClass === "transient" && request.attempts >= 2);
  if (again && moves && more) request.step++;
  if (again) release(request, errorClass);
  else end(request, "failed", errorClass);
}

/** Picks from what there is; most commands want a request of any status. */
const pick = <T>(items: T[], at: number): T | undefined => items[at % Math.max(items.length, 1)];
const nth = (model: Model, at: number) => pick([...model.requests], at);
const connection = (real: Real, at: number) => real.connections[at % real.connections.length] as pg.Client;

function command(name: string, run: (model: Model, real: Real) => Promise<void>): Command {
  return { check: () => true, run, toString: () => name };
}

const submits = (on: number, pinned: boolean, maxAttempts: number, deadline: boolean) =>
  command(`submit(${pinned}, ${maxAttempts}, ${deadline})`, async (model, real) => {
    const id = await submit(connection(real, on), {
      agent_id: `agent ${on}`,
      priority: on % 2,
      max_attempts: maxAttempts,
      model: pinned ? "alone" : undefined,
      deadline: deadline ? new Date(Date.now() + 3_600_000) : undefined,
    });
    const counters = { attempts: 0, crashes: 0, waits: 0, claims: [], calls: [], step: pinned ? 0 : 1 };
    model.requests.set(id, {
      status: "pending",
      claimId: undefined,
      worker: undefined,
      ...counters,
      maxAttempts,
      deadline,
    });
  });

const claims = (on: number, size: number, worker: number) =>
  command(`claim(${size}, worker ${worker})`, async (model, real) => {
    await real.database.query(
      "update llmq.queue set run_at = clock_timestamp() where run_at > clock_timestamp()",
    );
    await real.database.query("delete from llmq.model_state");
    await call(connection(real, on), "sweep_llm_requests");
    const waiting = [...model.requests.values()].filter((request) => request.status === "pending").length;
    const claimed = await claim(connection(real, on), {
      max_requests: size,
      worker_id: real.workers[worker],
    });
    expect(claimed).toHaveLength(Math.min(size, waiting));
    for (const { id, claim_id: claimId } of claimed as Claimed[]) {
      const request = model.requests.get(id) as Expected;
      expect(request.status).toBe("pending");
      Object.assign(request, { status: "processing", claimId, worker });
      request.claims.push(claimId);
    }
  });

const marksProcessing = (on: number, at: number, worker: number) =>
  command(`mark_processing(${at})`, async (model, real) => {
    const [id, request] = nth(model, at) ?? [];
    const marking = call<{ mark_processing: string }>(connection(real, on), "mark_processing", {
      request_id: id ?? unknownId,
      worker_id: real.workers[worker],
    });
    if (!request) expect(await codeOf(marking)).toBe("LQ002");
    else if (request.status !== "pending") expect(await codeOf(marking)).toBe("LQ007");
    else {
      const claimId = (await marking)[0]?.mark_processing as string;
      Object.assign(request, { status: "processing", claimId, worker });
      request.claims.push(claimId);
    }
  });

/** Completes a batch: each entry by the claim that holds it, or by any it ever had. */
const completes = (on: number, ats: number[], stale: boolean) =>
  command(`complete(${ats}, stale ${stale})`, async (model, real) => {
    const entries = ats.map((at) => nth(model, at)).filter((entry) => entry !== undefined);
    const answers = entries.map(([id, request], place) => ({
      request_id: id,
      claim_id: stale ? pick(request.claims, ats[place] as number) : request.claimId,
      response: "x",
      calls: [{ outcome: "answered", input_tokens: 1 }],
    }));
    const rows = await call(connection(real, on), "complete_llm_requests", { answers });
    for (const [place, [, request]] of entries.entries()) {
      const holds = request.status === "processing" && answers[place]?.claim_id === request.claimId;
      expect(rows[place]?.applied).toBe(holds);
      if (holds) end(request, "completed", "answered");
    }
  });

const fails = (on: number, ats: number[], errorClass: ErrorClass, stale: boolean) =>
  command(`fail(${ats}, ${errorClass}, stale ${stale})`, async (model, real) => {
    // A model that cools down is passed over when falling back; here none does, and one at a time begins to.
    await real.database.query("delete from llmq.model_state");
    const cools = errorClass === "capacity" || errorClass === "configuration";
    const entries = (cools ? ats.slice(0, 1) : ats)
      .map((at) => nth(model, at))
      .filter((entry) => entry !== undefined);
    const failures = entries.map(([id, request], place) => ({
      request_id: id,
      claim_id: stale ? pick(request.claims, ats[place] as number) : request.claimId,
      error_class: errorClass,
      error_message: "x",
      calls: [{ outcome: errorClass }],
    }));
    const rows = await call(connection(real, on), "fail_llm_requests", { failures });
    for (const [place, [, request]] of entries.entries()) {
      const holds = request.status === "processing" && failures[place]?.claim_id === request.claimId;
      expect(rows[place]?.applied).toBe(holds);
      if (!holds) continue;
      fail(request, errorClass);
      expect(rows[place]?.status).toBe(request.status);
    }
  });

/** Claims whatever waits and fails all that is held, so that counters reach their limits in few commands. */
const claimsAndFails = (on: number, worker: number, errorClass: ErrorClass) =>
  command(`claim all, fail all(worker ${worker}, ${errorClass})`, async (model, real) => {
    await claims(on, 1000, worker).run(model, real);
    const ats = [...model.requests.keys()].map((_, at) => at);
    if (ats.length > 0) await fails(on, ats, errorClass, false).run(model, real);
  });

const claimsAndDies = (on: number, worker: number) =>
  command(`claim all, die(worker ${worker})`, async (model, real) => {
    await claims(on, 1000, worker).run(model, real);
    await dies(on, worker).run(model, real);
  });

const cancels = (on: number, at: number) =>
  command(`cancel(${at})`, async (model, real) => {
    const [id, request] = nth(model, at) ?? [];
    if (!request) return;
    expect(await callOne(connection(real, on), "cancel_llm_request", { request_id: id })).toBe(
      unfinished(request),
    );
    if (unfinished(request))
      end(request, "cancelled", request.status === "processing" ? "cancelled" : undefined);
  });

const retries = (on: number, at: number) =>
  command(`retry(${at})`, async (model, real) => {
    const [id, request] = nth(model, at) ?? [];
    if (!request) return;
    const runs = request.status === "failed" || request.status === "cancelled";
    expect(await callOne(connection(real, on), "retry_llm_request", { request_id: id })).toBe(runs);
    if (!runs) return;
    Object.assign(request, {
      status: "pending",
      attempts: 0,
      crashes: 0,
      waits: 0,
      step: request.step === 0 ? 0 : 1,
    });
  });

const releases = (on: number, worker: number) =>
  command(`release(worker ${worker})`, async (model, real) => {
    const held = [...model.requests.values()].filter((request) => request.worker === worker);
    expect(
      await callOne(connection(real, on), "release_llm_requests", { worker_id: real.workers[worker] }),
    ).toBe(held.length);
    for (const request of held) release(request, "released");
  });

const dies = (on: number, worker: number) =>
  command(`worker ${worker} dies`, async (model, real) => {
    const held = [...model.requests.values()].filter((request) => request.worker === worker);
    await real.database.query("update llmq.workers set heartbeat_at = '-infinity' where id = $1", [
      real.workers[worker],
    ]);
    expect(await callOne(connection(real, on), "recover_lost_llm_requests")).toBe(held.length);
    for (const request of held) fail(request, "lost");
    real.workers[worker] = await callOne<string>(connection(real, on), "register_worker", {
      name: `worker ${worker}`,
    });
  });

const expires = (on: number, at: number) =>
  command(`deadline(${at})`, async (model, real) => {
    const [id, request] = nth(model, at) ?? [];
    if (!request) return;
    const { rowCount } = await connection(real, on).query(
      `with waiting as (
         update llmq.queue set deadline = clock_timestamp() - interval '3 s' where id = $1 and deadline is not null returning id
       ), running as (
         update llmq.in_flight set deadline = clock_timestamp() - interval '3 s' where id = $1 and deadline is not null returning id
       )
       select id from waiting union all select id from running`,
      [id],
    );
    const due = unfinished(request) && request.deadline;
    expect(rowCount).toBe(due ? 1 : 0);
    expect(await callOne(connection(real, on), "expire_llm_requests")).toBe(due ? 1 : 0);
    if (due) end(request, "failed", request.status === "processing" ? "deadline" : undefined);
    // A retry drops a deadline that has passed.
    if (due) request.deadline = false;
  });

/** Whatever was done in between and rolled back is as if it had never been. */
const rollsBack = (on: number, at: number) =>
  command(`roll back(${at})`, async (model, real) => {
    const client = connection(real, on);
    await client.query("begin");
    await submit(client);
    await claim(client, { worker_id: real.workers[0] });
    const [id] = nth(model, at) ?? [];
    if (id) await callOne(client, "cancel_llm_request", { request_id: id });
    await client.query("rollback");
  });

async function compare(model: Model, real: Real): Promise<void> {
  const client = connection(real, 0);
  const { rows } = await client.query(
    `select v.id, v.status, v.attempts, v.crashes, v.capacity_waits as waits, v.calls,
       (select count(*)::int from llmq.requests as r where r.id = v.id) as prompts,
       coalesce((select array_agg(a.outcome order by a.number) from llmq.attempts as a where a.request_id = v.id), '{}') as ledger,
       coalesce((select array_agg(a.number order by a.number) from llmq.attempts as a where a.request_id = v.id), '{}') as numbers,
       (select h.claim_id from llmq.in_flight as h where h.id = v.id) as claim_id, v.model
     from llmq.llm_requests as v`,
  );
  // Each submitted request is there exactly once, and nothing else is.
  expect(rows.map((row) => row.id).sort()).toEqual([...model.requests.keys()].sort());
  const stored = await client.query("select count(*)::int as rows from llmq.requests");
  expect(stored.rows[0]?.rows).toBe(model.requests.size);
  for (const row of rows) {
    const request = model.requests.get(row.id as string) as Expected;
    expect(row).toMatchObject({
      status: request.status,
      attempts: request.attempts,
      crashes: request.crashes,
      waits: request.waits,
      calls: request.calls.length,
      prompts: 1,
      ledger: request.calls,
      numbers: request.calls.map((_, place) => place + 1),
      claim_id: request.claimId ?? null,
    });
    if (unfinished(request)) {
      expect(row.model).toBe(request.step === 0 ? "alone" : ["first", "second", "third"][request.step - 1]);
    }
  }
}

let real: Real;
beforeAll(async () => {
  const database = await createTestDatabase();
  await configureModels(database);
  // The breaker has tests of its own: here every failure counts.
  await database.query("update llmq.settings set value = '1000000' where name = 'breaker_failures'");
  const connections = await Promise.all([0, 1, 2].map(() => database.connect()));
  // The comparison reads everything there is: before 18 it would be compiled each time.
  for (const client of connections) await client.query("set jit = off");
  const workers: string[] = [];
  for (const name of ["a", "b"])
    workers.push(await callOne<string>(connections[0] as pg.Client, "register_worker", { name }));
  real = { database, connections, workers };
});
afterAll(() => real.database.drop());

test("any order of calls over several connections ends where a small model ends", async () => {
  const on = fc.nat(2);
  const at = fc.nat(30);
  const ats = fc.uniqueArray(at, { minLength: 1, maxLength: 4 });
  const worker = fc.nat(1);
  const commands = fc.commands(
    [
      fc
        .tuple(on, fc.boolean(), fc.integer({ min: 1, max: 4 }), fc.boolean())
        .map((given) => submits(...given)),
      fc
        .tuple(on, fc.boolean(), fc.integer({ min: 1, max: 4 }), fc.boolean())
        .map((given) => submits(...given)),
      fc.tuple(on, fc.integer({ min: 1, max: 5 }), worker).map((given) => claims(...given)),
      fc.tuple(on, fc.integer({ min: 1, max: 5 }), worker).map((given) => claims(...given)),
      fc.tuple(on, at, worker).map((given) => marksProcessing(...given)),
      fc.tuple(on, ats, fc.boolean()).map((given) => completes(...given)),
      fc.tuple(on, ats, fc.constantFrom(...classes), fc.boolean()).map((given) => fails(...given)),
      fc.tuple(on, ats, fc.constantFrom(...classes), fc.constant(false)).map((given) => fails(...given)),
      fc.tuple(on, worker, fc.constantFrom(...classes)).map((given) => claimsAndFails(...given)),
      fc.tuple(on, worker, fc.constantFrom(...classes.slice(0, 2))).map((given) => claimsAndFails(...given)),
      fc.tuple(on, worker).map((given) => claimsAndDies(...given)),
      fc.tuple(on, at).map((given) => cancels(...given)),
      fc.tuple(on, at).map((given) => retries(...given)),
      fc.tuple(on, worker).map((given) => releases(...given)),
      fc.tuple(on, worker).map((given) => dies(...given)),
      fc.tuple(on, at).map((given) => expires(...given)),
      fc.tuple(on, at).map((given) => rollsBack(...given)),
    ],
    { maxCommands: 60, size: "max" },
  );
  await fc.assert(
    fc.asyncProperty(commands, async (sequence) => {
      await real.database.query(
        "truncate llmq.queue, llmq.in_flight, llmq.requests, llmq.results, llmq.attempts, llmq.cancellations",
      );
      const model: Model = { requests: new Map() };
      await fc.asyncModelRun(() => ({ model, real }), sequence);
      await compare(model, real);
    }),
    { numRuns: 80, endOnFailure: false, interruptAfterTimeLimit: 40_000 },
  );
});
