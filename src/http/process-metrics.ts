/** What this process did and does. Labels are bounded by configuration and by lists in the code. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { OrchestratorStats } from "../orchestrator/orchestrator.ts";
import { genAiOperation, genAiProvider } from "../providers/gen-ai-names.ts";
import type { ModelTarget, TokenUsage } from "../providers/provider.ts";

export type ListenerMode = OrchestratorStats["listenerMode"];

export type ProcessMetrics = {
  /** One claim: how many requests it brought, and how long it took. */
  claimed(count: number, seconds: number): void;
  /** A request came to its end: `completed` (with an empty error type) or `failed`. */
  finished(status: "completed" | "failed", errorType: string, model: string): void;
  /** A request goes back to wait after a failed call, or was taken from us. */
  putBack(reason: "retry" | "claim_lost" | "released", model: string): void;
  /** One call of a provider; `outcome` as in the ledger, `usage` null when it reported none. */
  call(model: ModelTarget, outcome: string, seconds: number, usage: TokenUsage | null): void;
  listenerMode(mode: ListenerMode): void;
  /** As it is now. */
  stats(stats: OrchestratorStats): void;
};

const CLAIM_SECONDS = [0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1, 5];
/** The conventions end at 82 seconds; models that reason take longer, up to the call_timeout of 600. */
const CALL_SECONDS = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68,
  655.36,
];
/** Those of the conventions, as far as there are contexts of this length. */
const TOKENS = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304];
const MODES: ListenerMode[] = ["listening", "polling", "off"];

export function createProcessMetrics(registry: Registry): ProcessMetrics {
  const requests = requestMetrics(registry);
  const calls = callMetrics(registry);
  const state = stateMetrics(registry);

  const listenerMode = (mode: ListenerMode) => {
    for (const one of MODES) state.listenerMode.set({ mode: one }, one === mode ? 1 : 0);
  };
  listenerMode("off");
  return {
    claimed(count, seconds) {
      requests.claimed.inc(count);
      requests.claimSeconds.observe(seconds);
    },
    finished: (status, errorType, model) => requests.finished.inc({ status, error_type: errorType, model }),
    putBack: (reason, model) => requests.putBack.inc({ reason, model }),
    call(model, outcome, seconds, usage) {
      const labels = {
        gen_ai_operation_name: genAiOperation(model),
        gen_ai_provider_name: genAiProvider(model),
        gen_ai_request_model: model.modelId,
        model: model.name,
      };
      calls.duration.observe({ ...labels, error_type: outcome === "answered" ? "" : outcome }, seconds);
      if (usage === null) return;
      calls.tokens.observe({ ...labels, gen_ai_token_type: "input" }, usage.inputTokens);
      calls.tokens.observe({ ...labels, gen_ai_token_type: "output" }, usage.outputTokens);
      calls.cachedTokens.inc({ model: model.name }, usage.cachedInputTokens);
      calls.reasoningTokens.inc({ model: model.name }, usage.reasoningTokens);
    },
    listenerMode,
    stats(stats) {
      state.inFlight.set(stats.inFlight);
      state.maxInFlight.set(stats.concurrency);
      state.unstored.set(stats.unstored);
      if (stats.lastLookAt !== null) state.lastLook.set(stats.lastLookAt.getTime() / 1000);
    },
  };
}

function requestMetrics(registry: Registry) {
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
      help: "Requests that went back to wait after a failed call (retry) or at a shutdown (released), or were no longer ours (claim_lost).",
      labelNames: ["reason", "model"],
      registers,
    }),
  };
}

/** https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-metrics.md */
function callMetrics(registry: Registry) {
  const registers = [registry];
  const names = ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "model"] as const;
  return {
    duration: new Histogram({
      name: "gen_ai_client_operation_duration_seconds",
      help: "Time of one call of a provider. error_type is the outcome in llmq.attempts, empty when it answered; model is the name in llmq.models.",
      labelNames: [...names, "error_type"],
      buckets: CALL_SECONDS,
      registers,
    }),
    tokens: new Histogram({
      name: "gen_ai_client_token_usage",
      help: "Tokens of one call, as the provider reported them; gen_ai_token_type is input or output.",
      labelNames: [...names, "gen_ai_token_type"],
      buckets: TOKENS,
      registers,
    }),
    cachedTokens: new Counter({
      name: "llmq_cached_input_tokens_total",
      help: "Input tokens that providers had cached: part of gen_ai_client_token_usage.",
      labelNames: ["model"],
      registers,
    }),
    reasoningTokens: new Counter({
      name: "llmq_reasoning_tokens_total",
      help: "Output tokens spent on reasoning: part of gen_ai_client_token_usage.",
      labelNames: ["model"],
      registers,
    }),
  };
}

function stateMetrics(registry: Registry) {
  const registers = [registry];
  return {
    inFlight: new Gauge({
      name: "llmq_requests_in_flight",
      help: "Requests that this process is working on.",
      registers,
    }),
    maxInFlight: new Gauge({
      name: "llmq_requests_in_flight_max",
      help: "Most requests that this process works on at once: LLMQ_CONCURRENCY.",
      registers,
    }),
    unstored: new Gauge({
      name: "llmq_outcomes_unstored",
      help: "Outcomes of this process that are not stored yet; it grows while the database is away.",
      registers,
    }),
    lastLook: new Gauge({
      name: "llmq_last_look_timestamp_seconds",
      help: "When this process last looked for work and the database answered, or had no place for any.",
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
