import type { AppliedOutcome, ClaimedRequest, FailedOutcome, RequestOutcome } from "../database/queue.ts";
import type { OrchestratorObserver } from "../orchestrator/orchestrator.ts";
import type { Metrics } from "./metrics.ts";

/** As `llmq.error_type()` in SQL: what users see for a class of error. */
const ERROR_TYPES: Partial<Record<FailedOutcome["errorClass"], string>> = {
  transient: "provider_unavailable",
  capacity: "provider_unavailable",
  out_of_quota: "provider_unavailable",
  configuration: "provider_unavailable",
  invalid: "malformed_response",
  deadline: "deadline_exceeded",
};

export function errorTypeOf(errorClass: FailedOutcome["errorClass"]): string {
  return ERROR_TYPES[errorClass] ?? errorClass;
}

type Recorders = Pick<Metrics, "claimed" | "finished" | "putBack" | "call" | "listenerMode">;

/** Turns what an orchestrator tells into measurements. */
export function createObserver(metrics: Recorders): OrchestratorObserver {
  return {
    claimed: metrics.claimed,
    listenerMode: metrics.listenerMode,
    finished(request, outcome, applied) {
      const model = request.model.name;
      for (const { outcome: ended, facts } of outcome.calls) {
        metrics.call(model, ended, facts.latencyMs / 1000, facts.usage);
      }
      recordEnd(metrics, request, outcome, applied);
    },
  };
}

function recordEnd(
  metrics: Recorders,
  request: ClaimedRequest,
  outcome: RequestOutcome,
  applied: AppliedOutcome | null,
): void {
  const model = request.model.name;
  // Null: it could not be stored, and recovery will decide.
  if (applied === null) return;
  if (!applied.applied) metrics.putBack("claim_lost", model);
  else if (outcome.kind === "completed") metrics.finished("completed", "", model);
  else if (applied.status === "failed") metrics.finished("failed", errorTypeOf(outcome.errorClass), model);
  else metrics.putBack("retry", model);
}
