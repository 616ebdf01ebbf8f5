import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { configureSim, orchestrators, type Row, request, submitMany } from "./support.ts";

let database: TestDatabase;
const running = orchestrators();

beforeAll(async () => {
  database = await createTestDatabase();
  await configureSim(database);
  await database.query("select llmq.configure_model('spare', 'sim')");
  await database.query("select llmq.configure_route('*', array['sim', 'spare'])");
  for (let count = 0; count < 2; count += 1) {
    await running.start({ url: database.url, batchSize: 7, concurrency: 12, heartbeatIntervalMs: 1_000 });
  }
});
afterAll(async () => {
  await running.stopAll();
  await database.drop();
});

const behaviour = fc.record(
  {
    latency_ms: fc.integer({ min: 0, max: 60 }),
    malformed: fc.boolean(),
    text: fc.string({ unit: "binary", maxLength: 20 }),
    error: fc.record(
      {
        status: fc.constantFrom(400, 401, 429, 500, 503),
        times: fc.integer({ min: 1, max: 3 }),
        retry_after_ms: fc.integer({ min: 1, max: 50 }),
      },
      { requiredKeys: ["status", "times", "retry_after_ms"] },
    ),
  },
  { requiredKeys: [] },
);
const one = fc.record({
  // NUL and lone surrogates are refused by the submit itself.
  sim: behaviour.map((sim) =>
    "text" in sim ? { ...sim, text: sim.text?.replaceAll("\0", "").toWellFormed() } : sim,
  ),
  schema: fc.boolean(),
  cancel: fc.boolean(),
  maxAttempts: fc.integer({ min: 1, max: 4 }),
});
const plan = fc.record({
  requests: fc.array(one, { minLength: 1, maxLength: 25 }),
  /** Connections are cut behind so many requests that were cancelled. */
  cutAfter: fc.array(fc.nat(24), { maxLength: 3 }),
});

const cut = () =>
  database.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'orchestrator under test'",
  );

test("whatever the models do and whichever connections break, every request ends once and the ledger adds up", async () => {
  await fc.assert(
    fc.asyncProperty(plan, async ({ requests, cutAfter }) => {
      const ids = await submitMany(
        database,
        requests.map(({ sim, schema, maxAttempts }) =>
          request({
            sim,
            max_attempts: maxAttempts,
            ...(schema && { response_schema: { type: "object" } }),
          }),
        ),
      );
      for (const [index, id] of ids.entries()) {
        if (cutAfter.includes(index)) await cut();
        if (requests[index]?.cancel) await database.query("select llmq.cancel_llm_request($1)", [id]);
      }
      const rows = await eventually(() => allFinished(ids), { timeoutMs: 40_000 });
      expect(rows.map(problemOf).filter((problem) => problem !== null)).toEqual([]);
      const left = await database.query(
        "select id from llmq.queue where id = any ($1) union all select id from llmq.in_flight where id = any ($1)",
        [ids],
      );
      expect(left).toEqual([]);
    }),
    { numRuns: 8, endOnFailure: true, interruptAfterTimeLimit: 45_000 },
  );
});

async function allFinished(ids: string[]): Promise<Row[] | null> {
  // A model that cools down for half a minute (401) is well again at once.
  await database.query(
    "update llmq.model_state set cooling_until = clock_timestamp(), cooldowns = 0 where cooling_until > clock_timestamp() + interval '1 second'",
  );
  const rows = await database.query(
    `select f.id, f.status, f.error_type, f.calls, f.attempts,
       (select coalesce(array_agg(a.number order by a.number), '{}') from llmq.attempts as a where a.request_id = f.id) as numbers
     from llmq.results as f where f.id = any ($1)`,
    [ids],
  );
  if (rows.length < ids.length) throw new Error(`${rows.length} of ${ids.length} are finished`);
  return rows;
}

function problemOf(row: Row): string | null {
  const numbers = row.numbers as number[];
  if (row.calls !== numbers.length) return `${row.id}: ${row.calls} calls, ledger ${numbers}`;
  if (numbers.some((number, index) => number !== index + 1)) return `${row.id}: ledger ${numbers}`;
  if (row.status === "completed" && numbers.length === 0) return `${row.id}: completed without a call`;
  if (row.error_type === "exception") return `${row.id}: an exception`;
  return null;
}
