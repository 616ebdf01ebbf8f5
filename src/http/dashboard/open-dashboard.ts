/** The dashboard of a running orchestrator: its connections, and what makes it look. */
import type { Logger } from "pino";
import type { DashboardConfig } from "../../config.ts";
import { createPool } from "../../database/pool.ts";
import type { OrchestratorObserver } from "../../orchestrator/orchestrator.ts";
import { createDashboard, type Dashboard } from "./dashboard.ts";

/** Opened while somebody looks, closed ten seconds after the last query. */
const POOL_SIZE = 2;
const QUERY_LIMIT_MS = 10_000;

export type OpenDashboard = Dashboard & { close(): Promise<void> };

/** Null when there is to be none. */
export function openDashboard(options: {
  config: DashboardConfig | null;
  databaseUrl: string;
  logger: Logger;
  version: string;
}): OpenDashboard | null {
  const { config, databaseUrl, logger, version } = options;
  if (config === null) return null;
  const pool = createPool({
    connectionString: config.databaseUrl ?? databaseUrl,
    max: POOL_SIZE,
    applicationName: "llmq dashboard",
    statementTimeoutMs: QUERY_LIMIT_MS,
    logger,
  });
  const dashboard = createDashboard({ pool, prompts: config.prompts, version, logger });
  return { ...dashboard, close: () => pool.end() };
}

/** Whatever is claimed, finished or notified is a reason for the dashboard to look. */
export function alsoNudging(observer: OrchestratorObserver, nudge: () => void): OrchestratorObserver {
  return {
    ...observer,
    notified: nudge,
    claimed(count, seconds) {
      observer.claimed?.(count, seconds);
      if (count > 0) nudge();
    },
    finished(...told) {
      observer.finished?.(...told);
      nudge();
    },
  };
}
