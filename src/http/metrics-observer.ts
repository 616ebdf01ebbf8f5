import { errorTypeOf } from "../database/error-type.ts";
import type { AppliedOutcome, ClaimedRequest, LedgerCall, RequestOutcome } from "../database/queue.ts";
import type { OrchestratorObserver } from "../orchestrator/orchestrator.ts";
import type { ProcessMetrics } from "./process-metrics.ts";

/** Turns what an orchestrator tells into measurements. */
export function createObserver(metrics: Omit<ProcessMetrics, "stats">): OrchestratorObserver {
  const recordCalls = ({ model }: ClaimedRequest, calls: LedgerCall[]) => {
    for (const { outcome, facts } of calls) {
      metrics.call(model, outcome, facts.latencyMs / 1000, facts.usage);
    }
  };
  return {
    claimed: metrics.claimed,
    listenerMode: metrics.listenerMode,
    finished(request, outcome, applied) {
      recordCalls(request, outcome.calls);
      recordEnd(metrics, request, outcome, applied);
    },
    dropped(request, { reason, calls }) {
      recordCalls(request, calls);
      if (reason === "lost") metrics.putBack("claim_lost", request.model.name);
      if (reason === "shutdown") metrics.putBack("released", request.model.name);
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
