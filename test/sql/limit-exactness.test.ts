import fc from "fast-check";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { call, callOne, claim, passTime } from "./support.ts";

let database: TestDatabase;
let connections: pg.Client[];

beforeAll(async () => {
  database = await createTestDatabase();
  connections = await Promise.all([1, 2, 3, 4].map(() => database.connect()));
});
afterAll(() => database.drop());

const limits = { requests: 40, output: 5_000, concurrency: 12 };
const WINDOW_SECONDS = 60;
/** The queue keeps clear of the limits for a second more than they say. */
const MARGIN_SECONDS = 1;

/** It started between two moments: the clock can only be read before and after the claim. */
type Call = {
  id: string;
  claimId: string;
  after: number;
  before: number;
  reserved: number;
  used: number | null;
};

/** Time as the queue sees it: the real one, and all that was skipped. */
function clock() {
  const from = Date.now();
  let skipped = 0;
  return {
    now: () => (Date.now() - from) / 1000 + skipped,
    async skip(seconds: number) {
      await passTime(database, seconds);
      skipped += seconds;
    },
  };
}

const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("claim" as const), most: fc.integer({ min: 1, max: 30 }) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("end" as const),
        count: fc.integer({ min: 1, max: 10 }),
        tokens: fc.integer({ min: 0, max: 400 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("fail" as const), count: fc.integer({ min: 1, max: 5 }) }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: "rollback" as const }) },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant("pass" as const), seconds: fc.integer({ min: 1, max: 40 }) }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: "compact" as const }) },
  ),
  { minLength: 20, maxLength: 60 },
);

test("whatever four workers claim, finish, lose and take back, no window of a minute is over its limits, and none is left idle", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      await database.query(`
        truncate llmq.queue, llmq.in_flight, llmq.requests, llmq.results, llmq.attempts, llmq.usage, llmq.token_estimates, llmq.model_state;
        delete from llmq.lane_marks; delete from llmq.routes; delete from llmq.models; delete from llmq.providers;
        select llmq.configure_provider('sim', 'sim');
        select llmq.configure_model('m', 'sim', requests_per_minute => ${limits.requests}, output_tokens_per_minute => ${limits.output}, max_concurrency => ${limits.concurrency});
        select llmq.configure_route('*', array['m']);
        select count(*) from llmq.submit_llm_requests((
          select jsonb_agg(jsonb_build_object(
            'agent_id', 'a' || n % 3, 'task_type', 't', 'messages', '[{"role": "user", "content": "hi"}]'::jsonb,
            'settings', jsonb_build_object('max_tokens', 50 + n * 37 % 350)
          )) from generate_series(1, 1200) as n
        ));
      `);
      const { now, skip } = clock();
      const calls: Call[] = [];
      const open = () => calls.filter((one) => one.used === null);
      // Uses that are known: of a call in flight, what it reserved.
      const window = () => calls.filter((one) => one.after > now() - WINDOW_SECONDS);
      const sum = (list: Call[]) => list.reduce((total, one) => total + (one.used ?? one.reserved), 0);
      const record = async (claiming: () => Promise<{ id: string; claim_id: string }[]>) => {
        const after = now();
        const claimed = await claiming();
        const before = now();
        const rows = await database.query(
          "select id, reserved_output from llmq.in_flight where id = any($1)",
          [claimed.map((request) => request.id)],
        );
        const reserved = new Map(rows.map((row) => [row.id, Number(row.reserved_output)]));
        for (const request of claimed) {
          calls.push({
            id: request.id,
            claimId: request.claim_id,
            after,
            before,
            reserved: reserved.get(request.id) ?? 0,
            used: null,
          });
        }
      };

      for (const [index, step] of sequence.entries()) {
        const on = connections[index % connections.length] as pg.Client;
        if (step.kind === "claim") {
          await record(async () =>
            (await Promise.all(connections.map((one) => claim(one, { max_requests: step.most })))).flat(),
          );
        } else if (step.kind === "end") {
          const ended = open().slice(0, step.count);
          for (const one of ended) one.used = Math.min(step.tokens, one.reserved);
          await call(on, "complete_llm_requests", {
            answers: ended.map((one) => ({
              request_id: one.id,
              claim_id: one.claimId,
              response: "x",
              calls: [{ outcome: "answered", status_code: 200, input_tokens: 1, output_tokens: one.used }],
            })),
          });
        } else if (step.kind === "fail") {
          const failed = open().slice(0, step.count);
          for (const one of failed) one.used = 0;
          await call(on, "fail_llm_requests", {
            failures: failed.map((one) => ({
              request_id: one.id,
              claim_id: one.claimId,
              error_class: "bad_request",
              error_message: "no",
              calls: [{ outcome: "bad_request", status_code: 400 }],
            })),
          });
        } else if (step.kind === "rollback") {
          await on.query("begin");
          await claim(on);
          await on.query("rollback");
        } else if (step.kind === "pass") {
          await skip(step.seconds);
        } else {
          await callOne(on, "compact_usage");
        }
        expect(open().length).toBeLessThanOrEqual(limits.concurrency);
        expect(window().length).toBeLessThanOrEqual(limits.requests);
        expect(sum(window())).toBeLessThanOrEqual(limits.output);
      }

      // And there is nothing left to take: one of the limits is what stops it.
      const last = now();
      await record(() => claim(connections[0] as pg.Client, { max_requests: 1000 }));
      const recent = calls.filter((one) => one.before > last - WINDOW_SECONDS - MARGIN_SECONDS);
      const largest = 400;
      expect(
        open().length === limits.concurrency ||
          recent.length >= limits.requests ||
          sum(recent) > limits.output - largest,
      ).toBe(true);
    }),
    { numRuns: 25, interruptAfterTimeLimit: 40_000, endOnFailure: true },
  );
});
