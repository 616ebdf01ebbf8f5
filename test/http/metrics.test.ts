import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { errorTypeOf } from "../../src/database/error-type.ts";
import type { DatabaseMetrics } from "../../src/database/metrics.ts";
import type { AppliedOutcome, ClaimedRequest, RequestOutcome } from "../../src/database/queue.ts";
import { createMetrics, type Metrics } from "../../src/http/metrics.ts";
import { wellStats } from "./stats.ts";

const usage = { inputTokens: 100, outputTokens: 20, cachedInputTokens: 60, reasoningTokens: 5 };
const facts = {
  startedAt: new Date(0),
  latencyMs: 1500,
  firstByteMs: 10,
  statusCode: 200,
  providerRequestId: null,
  usage,
};
const claimed = {
  id: "r",
  model: { name: "fast", provider: "house", kind: "google", modelId: "gemini-9" },
} as ClaimedRequest;

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
async function lines(metrics: Metrics, name: string): Promise<string[]> {
  const text = await metrics.render(wellStats());
  return text.split("\n").filter((line) => line.startsWith(name));
}

const empty: DatabaseMetrics = {
  depth: [],
  models: [],
  limits: [],
  budgets: [],
  last_hour: [],
  workers: [],
  tables: [],
  storage: {
    snapshot_age: 0,
    snapshot_seconds: null,
    partitions_ahead: 4,
    partitions_behind: 0,
    default_partition_rows: 0,
    notification_queue_use: 0,
    listeners: {},
  },
};

describe("what this process did", () => {
  test("is counted by status, error type and model", async () => {
    const metrics = createMetrics();
    metrics.observer.claimed?.(3, 0.003);
    metrics.observer.claimed?.(0, 0.001);
    metrics.observer.finished?.(claimed, outcome("completed"), applied("completed"));
    metrics.observer.finished?.(claimed, outcome("failed"), applied("failed"));
    metrics.observer.finished?.(claimed, outcome("failed"), applied("pending"));
    metrics.observer.finished?.(claimed, outcome("completed"), applied(null, false));
    metrics.observer.finished?.(claimed, outcome("completed"), null);
    for (const reason of ["lost", "lost", "shutdown", "cancelled", "deadline"] as const) {
      metrics.observer.dropped?.(claimed, { kind: "dropped", reason, calls: [] });
    }

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
      'llmq_requests_put_back_total{reason="claim_lost",model="fast"} 3',
      'llmq_requests_put_back_total{reason="released",model="fast"} 1',
    ]);
    expect(await lines(metrics, "llmq_cached_input_tokens_total")).toEqual([
      'llmq_cached_input_tokens_total{model="fast"} 300',
    ]);
    expect(await lines(metrics, "llmq_reasoning_tokens_total")).toEqual([
      'llmq_reasoning_tokens_total{model="fast"} 25',
    ]);
  });

  test("calls and tokens have the names of the GenAI conventions", async () => {
    const metrics = createMetrics();
    metrics.observer.finished?.(claimed, outcome("completed"), applied("completed"));
    metrics.observer.finished?.(claimed, outcome("failed"), applied("pending"));
    const call =
      'gen_ai_operation_name="generate_content",gen_ai_provider_name="gcp.gemini",gen_ai_request_model="gemini-9",model="fast"';
    expect(await lines(metrics, "gen_ai_client_operation_duration_seconds_sum")).toEqual([
      `gen_ai_client_operation_duration_seconds_sum{${call},error_type=""} 1.5`,
      `gen_ai_client_operation_duration_seconds_sum{${call},error_type="transient"} 1.5`,
    ]);
    expect(await lines(metrics, "gen_ai_client_token_usage_sum")).toEqual([
      `gen_ai_client_token_usage_sum{${call},gen_ai_token_type="input"} 200`,
      `gen_ai_client_token_usage_sum{${call},gen_ai_token_type="output"} 40`,
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

  test("two registries in one process do not share counts, and the process measures itself", async () => {
    const [one, other] = [createMetrics({ version: "1.2.3" }), createMetrics()];
    one.observer.claimed?.(5, 0.1);
    expect(await lines(one, "llmq_requests_claimed_total")).toEqual(["llmq_requests_claimed_total 5"]);
    expect(await lines(other, "llmq_requests_claimed_total")).toEqual(["llmq_requests_claimed_total 0"]);
    expect(await lines(one, "process_cpu_seconds_total")).toHaveLength(1);
    expect(await lines(one, "nodejs_eventloop_lag_p99_seconds")).toHaveLength(1);
    expect(await lines(one, "llmq_build_info")).toEqual(['llmq_build_info{version="1.2.3"} 1']);
  });

  test("what it works on and has not stored is what its orchestrator says", async () => {
    const text = await createMetrics().render(
      wellStats({ inFlight: 7, concurrency: 50, unstored: 2, lastLookAt: new Date(1_700_000_000_500) }),
    );
    expect(text.split("\n")).toEqual(
      expect.arrayContaining([
        "llmq_requests_in_flight 7",
        "llmq_requests_in_flight_max 50",
        "llmq_outcomes_unstored 2",
        "llmq_last_look_timestamp_seconds 1700000000.5",
      ]),
    );
  });
});

describe("what the database tells", () => {
  test("comes with each scrape", async () => {
    const metrics = createMetrics({
      readDatabase: async () => ({
        ...empty,
        depth: [
          { status: "pending", model: "fast", held: "", requests: 7, oldest_age: 12.5, oldest_due_age: 3 },
          {
            status: "pending",
            model: "slow",
            held: "agent_paused",
            requests: 1,
            oldest_age: 9,
            oldest_due_age: null,
          },
        ],
        models: [{ model: "fast", provider: "house", breaker: "open", paused: true, cooling: 30 }],
        limits: [{ kind: "model", name: "fast", limit: "max_concurrency", value: 4, ratio: 0.5 }],
        budgets: [{ agent_id: "a", period: "day", usd: 5, ratio: 0.2 }],
        workers: [{ state: "alive", workers: 2 }],
        storage: { ...empty.storage, snapshot_age: 9, listeners: { polling: 1 } },
      }),
    });
    expect(await lines(metrics, "llmq_queue_requests")).toEqual([
      'llmq_queue_requests{status="pending",model="fast",held=""} 7',
      'llmq_queue_requests{status="pending",model="slow",held="agent_paused"} 1',
    ]);
    expect(await lines(metrics, "llmq_queue_oldest_due_age_seconds")).toEqual([
      'llmq_queue_oldest_due_age_seconds{status="pending",model="fast",held=""} 3',
    ]);
    expect(await lines(metrics, "llmq_model_breaker_state")).toEqual([
      'llmq_model_breaker_state{model="fast",provider="house",state="closed"} 0',
      'llmq_model_breaker_state{model="fast",provider="house",state="open"} 1',
      'llmq_model_breaker_state{model="fast",provider="house",state="half_open"} 0',
    ]);
    expect(await lines(metrics, "llmq_limit_used_ratio")).toEqual([
      'llmq_limit_used_ratio{kind="model",name="fast",limit="max_concurrency"} 0.5',
    ]);
    expect(await lines(metrics, "llmq_budget_used_ratio")).toEqual([
      'llmq_budget_used_ratio{agent="a",period="day"} 0.2',
    ]);
    expect(await lines(metrics, "llmq_workers")).toEqual([
      'llmq_workers{state="alive"} 2',
      'llmq_workers{state="stopping"} 0',
      'llmq_workers{state="lost"} 0',
    ]);
    expect(await lines(metrics, "llmq_listeners")).toContain('llmq_listeners{mode="polling"} 1');
    expect(await lines(metrics, "llmq_oldest_snapshot_age")).toEqual([
      "llmq_oldest_snapshot_age_transactions 9",
    ]);
  });

  test("is absent instead of stale when it cannot be read, which is told and counted", async () => {
    let answer: Error | DatabaseMetrics = empty;
    const readDatabase = async () => {
      if (answer instanceof Error) throw answer;
      return answer;
    };
    const metrics = createMetrics({ readDatabase });
    expect(await lines(metrics, "llmq_database_up")).toEqual(["llmq_database_up 1"]);
    expect(await lines(metrics, "llmq_partitions_ahead")).toEqual(["llmq_partitions_ahead 4"]);
    answer = new Error("connection refused");
    const other = createMetrics({ readDatabase });
    expect(await lines(other, "llmq_database_up")).toEqual(["llmq_database_up 0"]);
    expect(await lines(other, "llmq_scrape_errors_total")).toEqual(["llmq_scrape_errors_total 2"]);
    for (const name of ["llmq_partitions_ahead", "llmq_workers", "llmq_queue_requests"]) {
      expect(await lines(other, name)).toEqual([]);
    }
  });

  test("is read once for scrapes that come together", async () => {
    let reads = 0;
    const metrics = createMetrics({
      readDatabase: async () => {
        reads += 1;
        return empty;
      },
    });
    const both = await Promise.all([metrics.render(wellStats()), metrics.render(wellStats())]);
    expect(both.map((text) => text.includes("llmq_database_up 1"))).toEqual([true, true]);
    expect(reads).toBe(1);
  });
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
