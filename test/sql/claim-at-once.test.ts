import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type Claimed, call, claim, configureModels, hello, submit } from "./support.ts";

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  await configureModels(database);
  await database.query("select llmq.configure_agent('b', 5)");
  pool = database.pool({ max: 12 });
});
afterAll(() => database.drop());

/** The same numbers in every run: which transaction is slow, which is rolled back. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

async function inTransaction<T>(
  end: "commit" | "rollback",
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const result = await work(client);
    await client.query(end);
    return result;
  } finally {
    client.release();
  }
}

test("claimers, slow and rolled-back submitters, retries, aborted claims and cancels at once: nothing twice, nothing left", async () => {
  const committed = new Set<string>();
  const cancelled = new Set<string>();
  const completed = new Map<string, number>();
  const held = new Map<string, string>();
  let submitting = true;

  async function submitter(seed: number): Promise<void> {
    const next = numbers(seed);
    for (let round = 0; round < 40; round++) {
      const end = next() < 0.2 ? "rollback" : "commit";
      const ids = await inTransaction(end, async (client) => {
        const over = { agent_id: next() < 0.5 ? "a" : "b", priority: next() < 0.2 ? 5 : 0 };
        const one = await submit(client, over);
        const item = { task_type: "t", messages: hello };
        const rows = await call<{ submit_llm_requests: string }>(client, "submit_llm_requests", {
          requests: Array.from({ length: Math.ceil(next() * 8) }, () => ({
            ...item,
            agent_id: `agent ${Math.floor(next() * 30)}`,
          })),
        });
        if (next() < 0.2) await client.query("select pg_sleep(0.02)");
        return [one, ...rows.map((row) => row.submit_llm_requests)];
      });
      if (end === "commit") for (const id of ids) committed.add(id);
    }
  }

  async function claimer(seed: number): Promise<void> {
    const next = numbers(seed);
    for (let empty = 0; submitting || empty < 5; ) {
      const size = 1 + Math.floor(next() * 30);
      const abort = next() < 0.15;
      const claimed = await inTransaction<Claimed[]>(abort ? "rollback" : "commit", (client) =>
        claim(client, { max_requests: size }),
      );
      expect(claimed.length).toBeLessThanOrEqual(size);
      if (abort) continue;
      empty = claimed.length === 0 ? empty + 1 : 0;
      for (const request of claimed) {
        // Whoever has it must have given it back before it can be handed out again.
        expect(held.has(request.id), "handed out twice").toBe(false);
        held.set(request.id, request.claim_id);
      }
      for (const request of claimed) {
        // From here on others may have it: the database's answer says whether this claim still held.
        held.delete(request.id);
        if (next() < 0.2) {
          await call(pool, "fail_llm_requests", {
            failures: [{ request_id: request.id, claim_id: request.claim_id, error_class: "too_long" }],
          });
          continue;
        }
        const [done] = await call(pool, "complete_llm_requests", {
          answers: [{ request_id: request.id, claim_id: request.claim_id, response: "x" }],
        });
        if (done?.applied) completed.set(request.id, (completed.get(request.id) ?? 0) + 1);
      }
      if (next() < 0.2) await call(pool, "sweep_llm_requests");
    }
  }

  async function canceller(): Promise<void> {
    const next = numbers(99);
    while (submitting) {
      await inTransaction(next() < 0.5 ? "rollback" : "commit", async (client) => {
        const { rows } = await client.query("select id from llmq.queue order by random() limit 1");
        await client.query("select id from llmq.queue where id = $1 for update", [rows[0]?.id]);
        await client.query("select pg_sleep(0.01)");
      });
      const [row] = await database.query("select id from llmq.queue order by random() limit 1");
      if (row && next() < 0.3) {
        const [answer] = await call(pool, "cancel_llm_request", { request_id: row.id });
        if (answer?.cancel_llm_request) cancelled.add(row.id as string);
      }
    }
  }

  const claimers = [11, 12, 13, 14].map(claimer);
  const others = canceller();
  await Promise.all([1, 2, 3, 4].map(submitter));
  submitting = false;
  await Promise.all([...claimers, others]);

  // What rolled-back claims and late submitters left: the sweep's work.
  for (let last = -1; last !== 0; ) {
    await call(pool, "sweep_llm_requests");
    const claimed = await claim(pool, { max_requests: 1000 });
    for (const request of claimed) {
      await call(pool, "mark_completed", {
        request_id: request.id,
        response: "x",
        claim_id: request.claim_id,
      });
      completed.set(request.id, (completed.get(request.id) ?? 0) + 1);
    }
    last = claimed.length;
  }
  expect(await database.query("select id from llmq.queue union all select id from llmq.in_flight")).toEqual(
    [],
  );
  expect([...completed.values()].filter((count) => count !== 1)).toEqual([]);
  const failed = await database.query("select id from llmq.results where status = 'failed'");
  const ended = [...completed.keys(), ...cancelled, ...failed.map((row) => row.id as string)].sort();
  expect(ended).toEqual([...committed].sort());
});

test("a claim never takes more than asked while others hold the rows it looks at", async () => {
  const item = { agent_id: "a", task_type: "t", messages: hello };
  await call(pool, "submit_llm_requests", { requests: Array.from({ length: 300 }, () => item) });
  const claims = await Promise.all(
    Array.from({ length: 12 }, () =>
      inTransaction<Claimed[]>("commit", (client) => claim(client, { max_requests: 20 })),
    ),
  );
  for (const claimed of claims) expect(claimed).toHaveLength(20);
  expect(new Set(claims.flat().map((request) => request.id)).size).toBe(240);
});
