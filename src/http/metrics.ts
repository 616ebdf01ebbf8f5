/**
 * What Prometheus reads. Names and units follow its conventions: seconds, `_total` for counters. Labels are
 * bounded by configuration (models) or by lists in the code (outcomes), never by what callers send.
 */
import type { Pool } from "pg";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { OrchestratorObserver } from "../orchestrator/orchestrator.ts";
import type { TokenUsage } from "../providers/provider.ts";
import { createObserver } from "./metrics-observer.ts";
import { readQueueDepth } from "./queue-depth.ts";

export type ListenerMode = "listening" | "polling" | "off";

export type Metrics = {
  /** One claim: how many requests it brought, and how long it took. */
  claimed(count: number, seconds: number): void;
  /** A request came to its end: `completed` (with an empty error type) or `failed`. */
  finished(status: "completed" | "failed", errorType: string, model: string): void;
  /** A request goes back to wait after a failed call, or was taken from us. */
  putBack(reason: "retry" | "claim_lost", model: string): void;
  /** One call of a provider; `usage` is null when it reported none. */
  call(model: string, outcome: string, seconds: number, usage: TokenUsage | null): void;
  listenerMode(mode: ListenerMode): void;
  /** Calls running in this process now. */
  inFlight(count: number): void;
  /** Hands all of the above to an orchestrator. */
  observer: OrchestratorObserver;
  /** The text format; reads the depth of the queue from the database, which may be down. */
  render(): Promise<string>;
  contentType: string;
};

export type MetricsOptions = {
  /** For the depth of the queue at each scrape; left out: without it. */
  pool?: Pick<Pool, "query">;
};

/** Calls of language models take from milliseconds (sim, refused) to many minutes (reasoning). */
const CALL_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600];
const CLAIM_SECONDS = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 5];
const MODES: ListenerMode[] = ["listening", "polling", "off"];

export function createMetrics(options: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  const own = createInstruments(registry);
  const readDepth = options.pool === undefined ? null : createQueueDepth(registry, options.pool);
  collectDefaultMetrics({ register: registry });

  const recorders = {
    claimed(count: number, seconds: number) {
      own.claimed.inc(count);
      own.claimSeconds.observe(seconds);
    },
    finished: (status: string, errorType: string, model: string) =>
      own.finished.inc({ status, error_type: errorType, model }),
    putBack: (reason: string, model: string) => own.putBack.inc({ reason, model }),
    call(model: string, outcome: string, seconds: number, usage: TokenUsage | null) {
      own.callSeconds.observe({ model, outcome }, seconds);
      if (usage === null) return;
      own.tokens.inc({ model, kind: "input" }, usage.inputTokens);
      own.tokens.inc({ model, kind: "output" }, usage.outputTokens);
      own.tokens.inc({ model, kind: "cached_input" }, usage.cachedInputTokens);
      own.tokens.inc({ model, kind: "reasoning" }, usage.reasoningTokens);
    },
    listenerMode(mode: ListenerMode) {
      for (const one of MODES) own.listenerMode.set({ mode: one }, one === mode ? 1 : 0);
    },
    inFlight: (count: number) => own.inFlight.set(count),
  };
  recorders.listenerMode("off");
  return {
    ...recorders,
    observer: createObserver(recorders),
    async render() {
      await readDepth?.();
      return await registry.metrics();
    },
    contentType: registry.contentType,
  };
}

function createInstruments(registry: Registry) {
  const registers = [registry];
  return {
    claimed: new Counter({
      name: "llmq_requests_claimed_total",
      help: "Requests claimed by this process.",
      registers,
    }),
    claimSeconds: new Histogram({
      name: "llmq_claim_duration_seconds",
      help: "Time of one claim, empty ones included.",
      buckets: CLAIM_SECONDS,
      registers,
    }),
    finished: new Counter({
      name: "llmq_requests_finished_total",
      help: "Requests that came to their end in this process; error_type is empty when completed.",
      labelNames: ["status", "error_type", "model"],
      registers,
    }),
    putBack: new Counter({
      name: "llmq_requests_put_back_total",
      help: "Requests that went back to wait after a failed call (retry) or were no longer ours (claim_lost).",
      labelNames: ["reason", "model"],
      registers,
    }),
    callSeconds: new Histogram({
      name: "llmq_call_duration_seconds",
      help: "Time of one call of a provider, by what came of it.",
      labelNames: ["model", "outcome"],
      buckets: CALL_SECONDS,
      registers,
    }),
    tokens: new Counter({
      name: "llmq_tokens_total",
      help: "Tokens as reported by providers. cached_input is part of input, reasoning part of output.",
      labelNames: ["model", "kind"],
      registers,
    }),
    inFlight: new Gauge({
      name: "llmq_requests_in_flight",
      help: "Calls running in this process.",
      registers,
    }),
    listenerMode: new Gauge({
      name: "llmq_listener_mode",
      help: "1 for how this process learns of new requests now: listening (NOTIFY), polling (LISTEN is down), off.",
      labelNames: ["mode"],
      registers,
    }),
  };
}

/** One query serves all gauges of a scrape. With the database down they are absent, not stale. */
function createQueueDepth(registry: Registry, pool: Pick<Pool, "query">): () => Promise<void> {
  const registers = [registry];
  const labelNames = ["status", "model"] as const;
  const requests = new Gauge({
    name: "llmq_queue_requests",
    help: "Unfinished requests in the database, over all processes.",
    labelNames,
    registers,
  });
  const oldest = new Gauge({
    name: "llmq_queue_oldest_age_seconds",
    help: "Age of the oldest unfinished request, over all processes.",
    labelNames,
    registers,
  });
  const up = new Gauge({
    name: "llmq_database_up",
    help: "1 when the queue could be read for this scrape.",
    registers,
  });
  return async () => {
    const depths = await readQueueDepth(pool).catch(() => null);
    up.set(depths === null ? 0 : 1);
    requests.reset();
    oldest.reset();
    for (const { status, model, ...depth } of depths ?? []) {
      requests.set({ status, model }, depth.requests);
      oldest.set({ status, model }, depth.oldestAgeSeconds);
    }
  };
}
