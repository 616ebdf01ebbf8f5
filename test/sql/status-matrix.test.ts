import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { call, callOne, claimRequest, codeOf, configureModels, read, submit, unknownId } from "./support.ts";

const statuses = ["unknown", "waiting", "ready", "processing", "completed", "failed", "cancelled"] as const;
type Status = (typeof statuses)[number];
type Subject = { id: string; claimId: string | undefined; staleClaimId: string };
type Action = (on: pg.Pool, subject: Subject) => Promise<unknown>;
/** What each action answers (as JSON), or the SQLSTATE it is refused with; then the status afterwards. */
type Expected = Record<Status, [answer: unknown, after?: string]>;

const later = "2100-01-01T00:00:00Z";
const report = (subject: Subject, claimId: string | undefined) => ({
  request_id: subject.id,
  claim_id: claimId ?? 987654321,
});
const applied = async (on: pg.Pool, name: string, parameter: string, item: Record<string, unknown>) =>
  (await call(on, name, { [parameter]: [item] }))[0]?.applied;

const finished = { completed: ["LQ007"], failed: ["LQ007"], cancelled: ["LQ007"] } as const;
const pending = { waiting: ["LQ007"], ready: ["LQ007"] } as const;
const onlyProcessing = (answer: unknown, after: string) =>
  ({ unknown: ["LQ002"], ...pending, processing: [answer, after], ...finished }) as unknown as Expected;
const never = (answer: unknown, unknown: unknown = answer) =>
  Object.fromEntries(statuses.map((s) => [s, [s === "unknown" ? unknown : answer]])) as unknown as Expected;
const failing = (errorType: string, answer: string): [string, Action, Expected] => [
  `mark_failed ${errorType}`,
  (on, { id }) => callOne(on, "mark_failed", { request_id: id, error_type: errorType, error_message: "x" }),
  onlyProcessing(answer, answer),
];

const actions: [string, Action, Expected][] = [
  [
    "get_llm_request",
    async (on, { id }) => (await call(on, "get_llm_request", { request_id: id }))[0]?.status,
    {
      unknown: ["LQ002"],
      waiting: ["pending"],
      ready: ["pending"],
      processing: ["processing"],
      completed: ["completed"],
      failed: ["failed"],
      cancelled: ["cancelled"],
    },
  ],
  [
    "status_of",
    (on, { id }) => callOne(on, "status_of", { request_id: id }),
    {
      unknown: ["LQ002"],
      waiting: ["pending"],
      ready: ["pending"],
      processing: ["processing"],
      completed: ["completed"],
      failed: ["failed"],
      cancelled: ["cancelled"],
    },
  ],
  [
    "explain_llm_request",
    async (on, { id }) =>
      (await callOne<{ why: string }>(on, "explain_llm_request", { request_id: id })).why.replace(
        /(since|before|on worker) .*/,
        "$1 ...",
      ),
    {
      unknown: ["LQ002"],
      waiting: ["It is not due before ..."],
      ready: [expect.stringMatching(/^(It waits for its turn: \d+ come first|It is next)\.$/)],
      processing: ["It has been running since ..."],
      completed: ["It is finished."],
      failed: ["It failed: no"],
      cancelled: ["It was cancelled: why not"],
    },
  ],
  [
    "cancel_llm_request",
    (on, { id }) => callOne(on, "cancel_llm_request", { request_id: id }),
    {
      unknown: ["LQ002"],
      waiting: [true, "cancelled"],
      ready: [true, "cancelled"],
      processing: [true, "cancelled"],
      completed: [false],
      failed: [false],
      cancelled: [false],
    },
  ],
  [
    "retry_llm_request",
    (on, { id }) => callOne(on, "retry_llm_request", { request_id: id }),
    {
      unknown: ["LQ002"],
      waiting: [false],
      ready: [false],
      processing: [false],
      completed: [false],
      failed: [true, "pending"],
      cancelled: [true, "pending"],
    },
  ],
  [
    "mark_processing",
    async (on, { id }) => Number(await callOne(on, "mark_processing", { request_id: id })) > 0,
    {
      unknown: ["LQ002"],
      waiting: [true, "processing"],
      ready: [true, "processing"],
      processing: ["LQ007"],
      ...(finished as unknown as Pick<Expected, "completed" | "failed" | "cancelled">),
    },
  ],
  [
    "mark_completed by whoever holds it",
    (on, { id }) => callOne(on, "mark_completed", { request_id: id, response: "yes" }),
    onlyProcessing(true, "completed"),
  ],
  [
    "mark_completed with the claim",
    (on, { id, claimId }) =>
      callOne(on, "mark_completed", { request_id: id, response: "yes", claim_id: claimId ?? 987654321 }),
    onlyProcessing(true, "completed"),
  ],
  [
    "mark_completed with an earlier claim",
    (on, { id, staleClaimId }) =>
      callOne(on, "mark_completed", { request_id: id, response: "yes", claim_id: staleClaimId }),
    never("LQ007", "LQ002"),
  ],
  [
    "mark_completed without an answer",
    (on, { id }) => callOne(on, "mark_completed", { request_id: id, response: null }),
    never("LQ001"),
  ],
  failing("provider_unavailable", "pending"),
  failing("exception", "pending"),
  failing("malformed_response", "pending"),
  failing("too_long", "pending"),
  failing("refused", "failed"),
  failing("truncated", "failed"),
  failing("bad_request", "failed"),
  failing("deadline_exceeded", "failed"),
  [
    "mark_failed with an unknown error_type",
    (on, { id }) => callOne(on, "mark_failed", { request_id: id, error_type: "tired", error_message: "x" }),
    never("LQ001"),
  ],
  [
    "mark_failed without a message",
    (on, { id }) =>
      callOne(on, "mark_failed", { request_id: id, error_type: "exception", error_message: null }),
    never("LQ001"),
  ],
  [
    "mark_failed for good",
    (on, { id }) =>
      callOne(on, "mark_failed", {
        request_id: id,
        error_type: "exception",
        error_message: "x",
        retry: false,
      }),
    onlyProcessing("failed", "failed"),
  ],
  [
    "mark_failed with an earlier claim",
    (on, { id, staleClaimId }) =>
      callOne(on, "mark_failed", {
        request_id: id,
        error_type: "exception",
        error_message: "x",
        claim_id: staleClaimId,
      }),
    never("LQ007", "LQ002"),
  ],
  [
    "complete_llm_requests with the claim",
    (on, s) => applied(on, "complete_llm_requests", "answers", { ...report(s, s.claimId), response: "yes" }),
    { ...never(false), processing: [true, "completed"] },
  ],
  [
    "complete_llm_requests with an earlier claim",
    (on, s) =>
      applied(on, "complete_llm_requests", "answers", { ...report(s, s.staleClaimId), response: "yes" }),
    never(false),
  ],
  [
    "complete_llm_requests without a claim",
    (on, { id }) => applied(on, "complete_llm_requests", "answers", { request_id: id, response: "yes" }),
    never(false),
  ],
  [
    "fail_llm_requests with the claim",
    (on, s) =>
      applied(on, "fail_llm_requests", "failures", { ...report(s, s.claimId), error_class: "refused" }),
    { ...never(false), processing: [true, "failed"] },
  ],
  [
    "fail_llm_requests with an earlier claim",
    (on, s) =>
      applied(on, "fail_llm_requests", "failures", { ...report(s, s.staleClaimId), error_class: "refused" }),
    never(false),
  ],
  [
    "fail_llm_requests without a claim",
    (on, { id }) =>
      applied(on, "fail_llm_requests", "failures", { request_id: id, error_class: "transient" }),
    never(false),
  ],
  [
    "fail_llm_requests with an unknown error_class",
    (on, s) =>
      applied(on, "fail_llm_requests", "failures", { ...report(s, s.claimId), error_class: "tired" }),
    never("LQ001"),
  ],
  [
    "release_llm_requests by the worker that holds it",
    async (on, { id }) =>
      callOne(on, "release_llm_requests", {
        worker_id:
          (await on.query("select worker_id from llmq.in_flight where id = $1", [id])).rows[0]?.worker_id ??
          unknownId,
        request_ids: [id],
      }),
    { ...never(0), processing: [1, "pending"] },
  ],
  [
    "release_llm_requests by another worker",
    (on, { id }) => callOne(on, "release_llm_requests", { worker_id: unknownId, request_ids: [id] }),
    never(0),
  ],
  [
    "submit_tool_results for an answer without tool calls",
    (on, { id }) =>
      callOne(on, "submit_tool_results", {
        request_id: id,
        tool_results: [{ id: "call_1", result: 1 }],
      }),
    never("LQ009", "LQ002"),
  ],
  [
    "wait_for_llm_request",
    async (on, { id }) =>
      (await on.query("call llmq.wait_for_llm_request($1, '10 milliseconds')", [id])).rows[0].status,
    {
      unknown: ["LQ002"],
      waiting: ["LQ008"],
      ready: ["LQ008"],
      processing: ["LQ008"],
      completed: ["completed"],
      failed: ["failed"],
      cancelled: ["cancelled"],
    },
  ],
];

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  await configureModels(database);
  // One connection: all claims of this file are the same session worker's.
  pool = database.pool({ max: 1 });
  await callOne(pool, "register_worker", { name: "alive" });
});
afterAll(() => database.drop());

/** A request in a status, through the API alone. Each was claimed and given back once: `staleClaimId`. */
async function make(status: Status): Promise<Subject> {
  if (status === "unknown") return { id: unknownId, claimId: undefined, staleClaimId: "1" };
  const id = await submit(pool);
  const staleClaimId = await callOne<string>(pool, "mark_processing", { request_id: id });
  await pool.query("select llmq.release_llm_requests(worker_id) from llmq.in_flight where id = $1", [id]);
  if (status === "waiting") await pool.query("update llmq.queue set run_at = $2 where id = $1", [id, later]);
  if (status === "ready") await pool.query("select llmq.promote_waiting()");
  if (status === "waiting" || status === "ready") return { id, claimId: undefined, staleClaimId };
  if (status === "cancelled") {
    await callOne(pool, "cancel_llm_request", { request_id: id, reason: "why not" });
    return { id, claimId: undefined, staleClaimId };
  }
  const { claim_id: claimId } = await claimRequest(pool, id);
  if (status === "completed") await callOne(pool, "mark_completed", { request_id: id, response: "yes" });
  if (status === "failed") {
    await callOne(pool, "mark_failed", { request_id: id, error_type: "refused", error_message: "no" });
  }
  return { id, claimId, staleClaimId };
}

describe.each(actions)("%s", (_name, action, expected) => {
  test.each(statuses)("on a request that is %s", async (status) => {
    const subject = await make(status);
    const before = status === "unknown" ? undefined : await read(pool, subject.id);
    const [answer, after] = expected[status];
    if (typeof answer === "string" && /^LQ\d{3}$/.test(answer)) {
      expect(await codeOf(action(pool, subject))).toBe(answer);
    } else {
      expect(await action(pool, subject)).toEqual(answer);
    }
    if (status === "unknown") return;
    const now = await read(pool, subject.id);
    expect(now.status).toBe(after ?? before?.status);
    // What was refused left no trace.
    if (after === undefined) expect(now).toEqual(before);
  });
});
