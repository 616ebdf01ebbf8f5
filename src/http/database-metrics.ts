/**
 * What the database tells, over all processes: every orchestrator shows the same. Read at each scrape by one bounded
 * statement; scrapes within a second share it. With the database down these gauges are absent, not stale.
 */
import { Counter, Gauge, type Registry } from "prom-client";
import type { DatabaseMetrics } from "../database/metrics.ts";
import { within } from "../orchestrator/within.ts";
import { createCache } from "./cache.ts";
import { DATABASE_GAUGES } from "./database-gauges.ts";

/** A scrape must not wait for a pool without a free connection: Prometheus gives up after ten seconds. */
const TIME_LIMIT_MS = 5_000;
const SHARED_MS = 1_000;

/** Registers the gauges; what it answers reads the database into them and never rejects. */
export function createDatabaseMetrics(
  registry: Registry,
  read: () => Promise<DatabaseMetrics>,
): () => Promise<void> {
  const registers = [registry];
  const cache = createCache(SHARED_MS);
  const gauges = DATABASE_GAUGES.map(({ name, help, labels, samples }) => ({
    gauge: new Gauge({ name, help, labelNames: labels, registers }),
    isSingle: labels.length === 0,
    samples,
  }));
  const up = new Gauge({
    name: "llmq_database_up",
    help: "1 when the database could be read for this scrape.",
    registers,
  });
  const seconds = new Gauge({
    name: "llmq_scrape_duration_seconds",
    help: "How long this scrape waited for the database.",
    registers,
  });
  const errors = new Counter({
    name: "llmq_scrape_errors_total",
    help: "Scrapes for which the database could not be read.",
    registers,
  });

  return async () => {
    const startedAt = performance.now();
    const metrics = await inTime(cache("metrics", read));
    seconds.set((performance.now() - startedAt) / 1000);
    up.set(metrics === null ? 0 : 1);
    if (metrics === null) errors.inc();
    for (const { gauge, isSingle, samples } of gauges) {
      gauge.reset();
      // A reset leaves it at 0, which is not what is known.
      if (isSingle) gauge.remove();
      for (const { labels, value } of metrics === null ? [] : samples(metrics)) {
        if (value !== null) gauge.set(labels, value);
      }
    }
  };
}

/** Null when it failed, or takes too long. */
async function inTime(work: Promise<DatabaseMetrics>): Promise<DatabaseMetrics | null> {
  const settled = work.then(
    (metrics) => metrics,
    () => null,
  );
  return (await within(TIME_LIMIT_MS, settled)) ? await settled : null;
}
