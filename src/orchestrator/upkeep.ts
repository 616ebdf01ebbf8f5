/** What an orchestrator does beside the loop: heartbeats, the queue's maintenance, settings, clean-up. */
import type { Logger } from "pino";
import type { QueueDatabase, RuntimeSettings } from "../database/queue.ts";
import type { Membership } from "./membership.ts";
import { createPeriodic } from "./periodic.ts";

const MAINTAIN_MS = 1_000;
const SETTINGS_MS = 5_000;
const HOUR_MS = 3_600_000;
const HEARTBEAT_RETRY_MS = 250;
/** After an outage or a standstill all heartbeats are old; so long everybody may say that he lives. */
const AFTER_OUTAGE_MS = 5_000;

export type Upkeep = {
  /** The settings in `llmq.settings`, a few seconds old at most. Read once before `start`. */
  readonly settings: RuntimeSettings;
  readSettings(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
};

export type UpkeepOptions = {
  database: QueueDatabase;
  membership: Membership;
  heartbeatIntervalMs: number;
  retentionDays: number;
  stopping: AbortSignal;
  logger: Logger;
};

export function createUpkeep(options: UpkeepOptions): Upkeep {
  const { database, membership, heartbeatIntervalMs, retentionDays, stopping, logger } = options;
  let settings: RuntimeSettings | null = null;
  let maintainFrom = Number.NEGATIVE_INFINITY;
  /** By the wall clock: the other one may stop while a machine sleeps. */
  let aliveAt = Date.now();

  async function readSettings(): Promise<void> {
    settings = await database.settings();
  }

  /** After a stall (a busy machine, a laptop asleep) every heartbeat is old, this process's own among them. */
  function hasStoodStill(): boolean {
    return Date.now() - aliveAt > 2 * heartbeatIntervalMs;
  }

  async function heartbeat(): Promise<void> {
    if (hasStoodStill()) maintainFrom = performance.now() + AFTER_OUTAGE_MS;
    try {
      await membership.heartbeat();
      aliveAt = Date.now();
    } catch (error) {
      maintainFrom = performance.now() + AFTER_OUTAGE_MS;
      throw error;
    }
  }

  async function maintain(): Promise<void> {
    if (performance.now() < maintainFrom) return;
    if (hasStoodStill()) return heartbeat();
    try {
      const done = await database.maintain();
      if (done !== null && done.recovered > 0) {
        logger.warn({ requests: done.recovered }, "gave back lost requests");
      }
    } catch (error) {
      maintainFrom = performance.now() + AFTER_OUTAGE_MS;
      throw error;
    }
  }

  async function housekeeping(): Promise<void> {
    await database.ensurePartitions();
    let removed = 0;
    for (let batch = -1; batch !== 0 && !stopping.aborted; ) {
      batch = await database.cleanup(retentionDays);
      removed += batch;
    }
    if (removed > 0) logger.info({ requests: removed }, "removed requests past the retention");
  }

  const periodics = [
    createPeriodic({
      name: "heartbeat",
      everyMs: heartbeatIntervalMs,
      retryMs: Math.min(HEARTBEAT_RETRY_MS, heartbeatIntervalMs),
      run: heartbeat,
      logger,
    }),
    createPeriodic({ name: "maintain", everyMs: MAINTAIN_MS, run: maintain, logger }),
    createPeriodic({ name: "settings", everyMs: SETTINGS_MS, run: readSettings, logger }),
    createPeriodic({ name: "housekeeping", everyMs: HOUR_MS, retryMs: 60_000, run: housekeeping, logger }),
  ];

  return {
    get settings() {
      if (settings === null) throw new Error("the settings were not read yet");
      return settings;
    },
    readSettings,
    start() {
      aliveAt = Date.now();
      for (const periodic of periodics) periodic.start();
    },
    async stop() {
      await Promise.all(periodics.map((periodic) => periodic.stop()));
    },
  };
}
