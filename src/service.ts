/**
 * One running llmq: the orchestrator (loop a), the shared queues (loop b) and the HTTP server.
 * Stopped in the reverse order of their making.
 */
import type { Logger } from "pino";
import { createAnswerChecker } from "./answer/answer-checker.ts";
import type { Config, Environment } from "./config.ts";
import { createPriceImport } from "./database/import-prices.ts";
import { readDatabaseMetrics } from "./database/metrics.ts";
import { createPool } from "./database/pool.ts";
import { alsoNudging, openDashboard } from "./http/dashboard/open-dashboard.ts";
import { createMetrics } from "./http/metrics.ts";
import { createHttpServer } from "./http/server.ts";
import { createOrchestrator, type OrchestratorStats } from "./orchestrator/orchestrator.ts";
import { createPeriodic } from "./orchestrator/periodic.ts";
import { flushSpans } from "./orchestrator/tracing.ts";
import { within } from "./orchestrator/within.ts";
import { createProviders } from "./providers/registry.ts";
import { createSharedQueueLoop } from "./shared-queues/shared-queue-loop.ts";

const POOL_END_MS = 2_000;
const FLUSH_MS = 2_000;
const HEARTBEAT_LIMIT_MS = 5_000;
/** One for each of the four queues that come with llmq. */
const SHARED_POOL_SIZE = 4;
/** A model that is configured meanwhile has its price so long later. */
const PRICES_MS = 30_000;

export type ServiceOptions = {
  config: Config;
  env: Environment;
  /** The queue's database. */
  databaseUrl: string;
  /** A direct connection for LISTEN. */
  listenUrl: string;
  logger: Logger;
  /** Of the program. */
  version: string;
};

export type Service = {
  start(): Promise<void>;
  stop(graceMs: number): Promise<void>;
  stats(): OrchestratorStats;
  /** Where health and metrics are served; null when that is off. */
  readonly httpUrl: string | null;
};

export function createService(options: ServiceOptions): Service {
  const { config, env, databaseUrl, listenUrl, logger, version } = options;
  const pool = createPool({
    connectionString: databaseUrl,
    max: config.poolSize,
    applicationName: "llmq orchestrator",
    logger,
  });
  const heartbeatPool = createPool({
    connectionString: databaseUrl,
    max: 1,
    applicationName: "llmq heartbeat",
    statementTimeoutMs: Math.min(config.heartbeatIntervalMs, HEARTBEAT_LIMIT_MS),
    logger,
  });
  /** A handler may keep its connection for long: the loops must not wait for each other. */
  const sharedPool = createPool({
    connectionString: databaseUrl,
    max: SHARED_POOL_SIZE,
    applicationName: "llmq shared queues",
    logger,
  });
  const providers = createProviders({ env, logger });
  const checker = createAnswerChecker();
  const metrics = createMetrics({ readDatabase: () => readDatabaseMetrics(pool), version });
  const dashboard = openDashboard({
    config: config.http?.dashboard ?? null,
    databaseUrl,
    logger,
    version,
  });
  const orchestrator = createOrchestrator({
    pool,
    heartbeatPool,
    providers,
    checker,
    logger,
    listenUrl: config.notify ? listenUrl : null,
    pollIntervalMs: config.llmPollIntervalMs,
    batchSize: config.llmBatchSize,
    concurrency: config.concurrency,
    heartbeatIntervalMs: config.heartbeatIntervalMs,
    retentionDays: config.retentionDays,
    version,
    observer: dashboard === null ? metrics.observer : alsoNudging(metrics.observer, dashboard.nudge),
  });
  const sharedQueues = createSharedQueueLoop({
    pool: sharedPool,
    checker,
    logger,
    pollIntervalMs: config.sharedPollIntervalMs,
    batchSize: config.sharedBatchSize,
  });
  const importPrices = createPriceImport(pool);
  const updatePrices = async () => {
    const changed = await importPrices();
    if (changed) logger.info({ prices: changed }, "imported prices");
  };
  const prices = createPeriodic({ name: "prices", everyMs: PRICES_MS, run: updatePrices, logger });
  const http =
    config.http === null
      ? null
      : createHttpServer({
          ...config.http,
          pool,
          metrics,
          stats: () => orchestrator.stats(),
          dashboard,
          logger,
        });
  const hurrying = new AbortController();
  let httpUrl: string | null = null;

  async function stop(graceMs: number): Promise<void> {
    if (graceMs === 0) hurrying.abort();
    await Promise.all([
      orchestrator.stop(graceMs),
      // A handler that is still at work then is rolled back: its messages are read again.
      within(graceMs, sharedQueues.stop(), hurrying.signal),
      within(graceMs, prices.stop(), hurrying.signal),
    ]);
    await providers.close();
    await http?.stop();
    // All may wait for somebody who is away; the process ends anyway.
    await Promise.all([
      within(POOL_END_MS, pool.end()),
      within(POOL_END_MS, heartbeatPool.end()),
      within(POOL_END_MS, sharedPool.end()),
      within(POOL_END_MS, dashboard?.close() ?? Promise.resolve()),
      within(FLUSH_MS, flushSpans()),
    ]);
  }

  return {
    async start() {
      // Before the first call, so that it has a cost; without prices everything else works.
      await updatePrices().catch((err: unknown) => logger.warn({ err }, "prices were not imported"));
      await orchestrator.start();
      sharedQueues.start();
      prices.start();
      try {
        httpUrl = (await http?.start()) ?? null;
      } catch (error) {
        // Its port is taken: what was claimed meanwhile goes back, and the worker signs off.
        await stop(0);
        throw error;
      }
    },
    stop,
    stats: () => orchestrator.stats(),
    get httpUrl() {
      return httpUrl;
    },
  };
}
