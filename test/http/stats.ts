import type { OrchestratorStats } from "../../src/orchestrator/orchestrator.ts";

/** What an orchestrator tells of itself that is well: the loop looked this moment. */
export function wellStats(over: Partial<OrchestratorStats> = {}): OrchestratorStats {
  return {
    workerId: "w",
    inFlight: 3,
    concurrency: 1000,
    unstored: 0,
    listenerMode: "listening",
    lastLookAt: new Date(),
    pollIntervalMs: 100,
    stopping: false,
    ...over,
  };
}
