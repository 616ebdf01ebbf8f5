import { errorTypeOf } from "../database/error-type.ts";
import type { AppliedOutcome, ClaimedRequest, RequestOutcome } from "../database/queue.ts";
import type { OrchestratorObserver } from "../orchestrator/orchestrator.ts";
import type { ProcessMetrics } from "./process-metrics.ts";

/** Turns what an orchestrator tells into measurements. */
export function createObserver(metrics: Omit<ProcessMetrics, "stats">): OrchestratorObserver {
  return {
    claimed: metrics.claimed,
    listenerMode: metrics.listenerMode,
    finished(request, outcome, applied) {
      for (const { outcome: ended, facts } of outcome.calls) {
        metrics.call(request.model, ended, facts.latencyMs / 1000, facts.usage);
      }
      recordEnd(metrics, request, outcome, applied);
    },
  };
}

function recordEnd(
  metrics: Omit<ProcessMetrics, "stats">,
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
