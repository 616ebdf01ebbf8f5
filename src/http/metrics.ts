/**
 * What Prometheus reads: this process (process-metrics.ts), the database (database-metrics.ts), and Node. Names and
 * units follow Prometheus' conventions, and OpenTelemetry's for GenAI where there is one.
 */
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { DatabaseMetrics } from "../database/metrics.ts";
import type { OrchestratorObserver, OrchestratorStats } from "../orchestrator/orchestrator.ts";
import { createDatabaseMetrics } from "./database-metrics.ts";
import { createObserver } from "./metrics-observer.ts";
import { createProcessMetrics } from "./process-metrics.ts";

export type Metrics = {
  /** Hands what an orchestrator tells to the counters. */
  observer: OrchestratorObserver;
  /** The text format. Never rejects because of the database: `llmq_database_up` is 0 then. */
  render(stats: OrchestratorStats): Promise<string>;
  contentType: string;
};

export type MetricsOptions = {
  /** Asked at each scrape, once a second at most; left out: this process alone. */
  readDatabase?: () => Promise<DatabaseMetrics>;
  /** Of the program. */
  version?: string;
};

export function createMetrics({ readDatabase, version }: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  const own = createProcessMetrics(registry);
  const lookAtDatabase = readDatabase === undefined ? null : createDatabaseMetrics(registry, readDatabase);
  if (version !== undefined) {
    const help = "1; the version of this program is a label.";
    const build = new Gauge({
      name: "llmq_build_info",
      help,
      labelNames: ["version"],
      registers: [registry],
    });
    build.set({ version }, 1);
  }
  collectDefaultMetrics({ register: registry });
  return {
    observer: createObserver(own),
    async render(stats) {
      own.stats(stats);
      await lookAtDatabase?.();
      return await registry.metrics();
    },
    contentType: registry.contentType,
  };
}
