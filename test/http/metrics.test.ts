import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { errorTypeOf } from "../../src/database/error-type.ts";
import type { AppliedOutcome, ClaimedRequest, RequestOutcome } from "../../src/database/queue.ts";
import { createMetrics, type MetricsOptions } from "../../src/http/metrics.ts";

const usage = { inputTokens: 100, outputTokens: 20, cachedInputTokens: 60, reasoningTokens: 5 };
const facts = {
  startedAt: new Date(0),
  latencyMs: 1500,
  firstByteMs: 10,
  statusCode: 200,
  providerRequestId: null,
  usage,
};
const claimed = { id: "r", model: { name: "fast" } } as ClaimedRequest;

function outcome(kind: "completed" | "failed"): RequestOutcome {
  const call = {
    outcome: kind === "completed" ? "answered" : "transient",
    facts,
    finishReason: null,
    outputMode: null,
    errorMessage: null,
  };
  return { kind, errorClass: "transient", calls: [call] } as unknown as RequestOutcome;
}

function applied(status: AppliedOutcome["status"], wasApplied = true): AppliedOutcome {
  return { requestId: "r", applied: wasApplied, status, runAt: null };
}

/** Lines of one metric, without comments. */
async function lines(metrics: ReturnType<typeof createMetrics>, name: string): Promise<string[]> {
  const text = await metrics.render();
  return text.split("\n").filter((line) => line.startsWith(name));
}

test("what an orchestrator tells is counted by status, error type, model and outcome", async () => {
  const metrics = createMetrics();
  metrics.observer.claimed?.(3, 0.003);
  metrics.observer.claimed?.(0, 0.001);
  metrics.observer.finished?.(claimed, outcome("completed"), applied("completed"));
  metrics.observer.finished?.(claimed, outcome("failed"), applied("failed"));
  metrics.observer.finished?.(claimed, outcome("failed"), applied("pending"));
  metrics.observer.finished?.(claimed, outcome("completed"), applied(null, false));
  metrics.observer.finished?.(claimed, outcome("completed"), null);

  expect(await lines(metrics, "llmq_requests_claimed_total")).toEqual(["llmq_requests_claimed_total 3"]);
  expect(await lines(metrics, "llmq_claim_duration_seconds_count")).toEqual([
    "llmq_claim_duration_seconds_count 2",
  ]);
  expect(await lines(metrics, "llmq_requests_finished_total")).toEqual([
    'llmq_requests_finished_total{status="completed",error_type="",model="fast"} 1',
    'llmq_requests_finished_total{status="failed",error_type="provider_unavailable",model="fast"} 1',
  ]);
  expect(await lines(metrics, "llmq_requests_put_back_total")).toEqual([
    'llmq_requests_put_back_total{reason="retry",model="fast"} 1',
    'llmq_requests_put_back_total{reason="claim_lost",model="fast"} 1',
  ]);
  expect(await lines(metrics, "llmq_call_duration_seconds_count")).toEqual([
    'llmq_call_duration_seconds_count{model="fast",outcome="answered"} 3',
    'llmq_call_duration_seconds_count{model="fast",outcome="transient"} 2',
  ]);
  expect(await lines(metrics, "llmq_tokens_total")).toEqual([
    'llmq_tokens_total{model="fast",kind="input"} 500',
    'llmq_tokens_total{model="fast",kind="output"} 100',
    'llmq_tokens_total{model="fast",kind="cached_input"} 300',
    'llmq_tokens_total{model="fast",kind="reasoning"} 25',
  ]);
});

test("exactly one listener mode is 1", async () => {
  const metrics = createMetrics();
  metrics.observer.listenerMode?.("listening");
  metrics.observer.listenerMode?.("polling");
  expect(await lines(metrics, "llmq_listener_mode")).toEqual([
    'llmq_listener_mode{mode="listening"} 0',
    'llmq_listener_mode{mode="polling"} 1',
    'llmq_listener_mode{mode="off"} 0',
  ]);
});

test("the depth of the queue is read at each scrape, and absent instead of stale when it cannot be", async () => {
  let rows: object[] | Error = [{ status: "pending", model: "fast", requests: 7, oldest_age_seconds: 12.5 }];
  const query = async () => {
    if (rows instanceof Error) throw rows;
    return { rows };
  };
  const metrics = createMetrics({ pool: { query } as unknown as NonNullable<MetricsOptions["pool"]> });
  expect(await lines(metrics, "llmq_queue")).toEqual([
    'llmq_queue_requests{status="pending",model="fast"} 7',
    'llmq_queue_oldest_age_seconds{status="pending",model="fast"} 12.5',
  ]);
  expect(await lines(metrics, "llmq_database_up")).toEqual(["llmq_database_up 1"]);
  rows = [];
  expect(await lines(metrics, "llmq_queue")).toEqual([]);
  rows = new Error("connection refused");
  expect(await lines(metrics, "llmq_database_up")).toEqual(["llmq_database_up 0"]);
});

test("two registries in one process do not share counts, and the process measures itself", async () => {
  const [one, other] = [createMetrics(), createMetrics()];
  one.inFlight(5);
  expect(await lines(one, "llmq_requests_in_flight")).toEqual(["llmq_requests_in_flight 5"]);
  expect(await lines(other, "llmq_requests_in_flight")).toEqual(["llmq_requests_in_flight 0"]);
  expect(await lines(one, "process_cpu_seconds_total")).toHaveLength(1);
});

test("error types are those of llmq.error_type() in SQL", async () => {
  const sql = await readFile(new URL("../../sql/internal/error_type.sql", import.meta.url), "utf8");
  const pairs = [...sql.matchAll(/when '(\w+)' then '(\w+)'/g)];
  expect(pairs.length).toBeGreaterThan(0);
  for (const [, errorClass, errorType] of pairs) {
    expect(errorTypeOf(errorClass as Parameters<typeof errorTypeOf>[0])).toBe(errorType);
  }
  expect(errorTypeOf("refused")).toBe("refused");
});
