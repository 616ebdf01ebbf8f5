/**
 * THE LOOP: wait (NOTIFY, due time or poll) -> claim -> call providers, concurrently -> check -> store in
 * batches. No transaction is open during a call. Any number of these run on one database; everything they
 * must agree on is decided in SQL.
 */
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import type { Logger } from "pino";
import { createLadderMemory } from "../answer/output-ladder.ts";
import { createSchemaValidator, type SchemaValidator } from "../answer/schema-validator.ts";
import { createListener } from "../database/listener.ts";
import {
  type AppliedOutcome,
  type ClaimedRequest,
  createQueueDatabase,
  type RequestOutcome,
  type RuntimeSettings,
} from "../database/queue.ts";
import type { Providers } from "../providers/registry.ts";
import { createInFlight } from "./in-flight.ts";
import { createOutcomeWriter } from "./outcome-writer.ts";
import { createPeriodic } from "./periodic.ts";
import { processRequest } from "./process-request.ts";
import { createSleepPolicy } from "./sleep-policy.ts";
import { createWake } from "./wake.ts";

const FULL_PAUSE_MS = 4;

/** The schema version this orchestrator was written for. */
export const SCHEMA_VERSION = 1;

export type OrchestratorOptions = {
  pool: Pool;
  providers: Providers;
  logger: Logger;
  /** A direct connection for LISTEN; null: notifications are off, polling alone. */
  listenUrl: string | null;
  pollIntervalMs: number;
  batchSize: number;
  /** Calls in flight in this process. */
  concurrency: number;
  heartbeatIntervalMs: number;
  retentionDays: number;
  name?: string;
  observer?: OrchestratorObserver;
};

/** What metrics and tests are told; each is called synchronously and must not throw. */
export type OrchestratorObserver = {
  claimed?(count: number, seconds: number): void;
  started?(request: ClaimedRequest): void;
  finished?(request: ClaimedRequest, outcome: RequestOutcome, applied: AppliedOutcome | null): void;
  listenerMode?(mode: "listening" | "polling"): void;
};

export type OrchestratorStats = {
  workerId: string | null;
  inFlight: number;
  unstored: number;
  listenerMode: "listening" | "polling" | "off";
  lastClaimAt: Date | null;
};

export type Orchestrator = {
  /** Registers with the database and begins to claim. Rejects when the schema is not the one it knows. */
  start(): Promise<void>;
  /** Stops claiming, lets calls finish for `graceMs`, gives the rest back. Idempotent; call again with 0 to hurry. */
  stop(graceMs?: number): Promise<void>;
  stats(): OrchestratorStats;
};

export class SchemaVersionError extends Error {
  override readonly name = "SchemaVersionError";
}

export function createOrchestrator(options: OrchestratorOptions): Orchestrator {
  const { pool, providers, logger, observer } = options;
  const database = createQueueDatabase(pool);
  const writer = createOutcomeWriter(database, logger);
  const inFlight = createInFlight();
  const wake = createWake();
  const validator: SchemaValidator = createSchemaValidator();
  const ladder = createLadderMemory();
  const stopping = new AbortController();
  const hurrying = new AbortController();
  const running = new Set<Promise<void>>();
  let workerId: string | null = null;
  let settings: RuntimeSettings;
  let loop: Promise<void> = Promise.resolve();
  let stopped: Promise<void> | null = null;
  let lastClaimAt: Date | null = null;
  let lastCancellationsAt = 0;

  const listener =
    options.listenUrl === null
      ? null
      : createListener({
          connectionString: options.listenUrl,
          channels: ["llmq_wake"],
          onNotification: () => wake.set(),
          onModeChange: (mode) => {
            logger.info({ mode }, "listener mode");
            observer?.listenerMode?.(mode);
            wake.set();
          },
          logger,
        });

  const sleepPolicy = createSleepPolicy({
    database,
    pollIntervalMs: options.pollIntervalMs,
    isListening: () => listener?.mode === "listening",
  });

  const periodics = [
    createPeriodic({ name: "heartbeat", everyMs: options.heartbeatIntervalMs, run: heartbeat, logger }),
    createPeriodic({ name: "maintain", everyMs: 1_000, run: maintain, logger }),
    createPeriodic({ name: "settings", everyMs: 5_000, run: readSettings, logger }),
    createPeriodic({ name: "housekeeping", everyMs: 3_600_000, run: housekeeping, logger }),
  ];

  async function start(): Promise<void> {
    const version = await database.schemaVersion().catch(() => null);
    if (version !== SCHEMA_VERSION) {
      throw new SchemaVersionError(
        version === null
          ? "The database has no llmq schema. Run: llmq migrate"
          : `The database has schema version ${version}, this orchestrator needs ${SCHEMA_VERSION}. Run: llmq migrate`,
      );
    }
    await readSettings();
    workerId = await register();
    await listener?.start();
    for (const periodic of periodics) periodic.start();
    loop = run();
    logger.info({ workerId, concurrency: options.concurrency }, "orchestrator started");
  }

  function register(): Promise<string> {
    return database.registerWorker(
      options.name ?? `${hostname()}:${process.pid}`,
      options.heartbeatIntervalMs * 4,
      workerInfo(),
    );
  }

  function workerInfo() {
    return {
      hostname: hostname(),
      pid: process.pid,
      in_flight: inFlight.size,
      concurrency: options.concurrency,
      listener: listener?.mode ?? "off",
    };
  }

  async function run(): Promise<void> {
    let retryMs = options.pollIntervalMs;
    while (!stopping.signal.aborted) {
      try {
        wake.clear();
        await abortCancelled();
        const full = await claimOnce();
        retryMs = options.pollIntervalMs;
        if (full) continue;
        const pause = await sleepPolicy.next();
        if (!pause.lookAgain) await wake.wait(pause.maxMs, stopping.signal);
      } catch (error) {
        logger.error({ err: error, retryMs }, "could not claim, trying again");
        await sleep(retryMs, undefined, { signal: stopping.signal }).catch(() => undefined);
        retryMs = Math.min(retryMs * 2, 5_000);
      }
    }
  }

  /** True when there may be more to claim right away. */
  async function claimOnce(): Promise<boolean> {
    const room = Math.min(options.batchSize, options.concurrency - inFlight.size - writer.pending);
    if (workerId === null || room <= 0) {
      // Full. When a call ends, a few more will within milliseconds: claim for all of them at once.
      await wake.wait(options.pollIntervalMs, stopping.signal);
      await sleep(FULL_PAUSE_MS);
      return true;
    }
    const startedAt = performance.now();
    const requests = await database.claim(workerId, room);
    lastClaimAt = new Date();
    observer?.claimed?.(requests.length, (performance.now() - startedAt) / 1000);
    sleepPolicy.claimed(requests.length);
    for (const request of requests) dispatch(request);
    return requests.length === room;
  }

  function dispatch(request: ClaimedRequest): void {
    const call = handle(request)
      .catch((error) => logger.error({ err: error, requestId: request.id }, "request handling failed"))
      .finally(() => running.delete(call));
    running.add(call);
  }

  async function handle(request: ClaimedRequest): Promise<void> {
    const atCapacity = () => inFlight.size >= options.concurrency - options.batchSize;
    const signal = inFlight.add(request);
    observer?.started?.(request);
    const outcome = await processRequest(request, signal, {
      providerFor: ({ model }) => providers.for(model),
      validator,
      ladder,
      settings,
    }).catch((error: unknown) => unexpected(request, error));
    if (atCapacity()) wake.set();
    inFlight.remove(request.claimId);
    if (outcome.kind === "dropped") {
      logger.info({ requestId: request.id, reason: outcome.reason }, "call aborted");
      return;
    }
    const applied = await writer.write(outcome);
    report(request, outcome, applied);
  }

  function report(request: ClaimedRequest, outcome: RequestOutcome, applied: AppliedOutcome | null): void {
    observer?.finished?.(request, outcome, applied);
    const fields = {
      requestId: request.id,
      agentId: request.agentId,
      model: request.model.name,
      status: applied?.status,
    };
    if (applied !== null && !applied.applied) {
      logger.info(fields, "outcome came too late, the claim was lost");
    } else if (outcome.kind === "failed") {
      const { errorClass, errorMessage } = outcome;
      const loud =
        errorClass === "configuration" || errorClass === "out_of_quota" || errorClass === "exception";
      logger[loud ? "error" : "warn"](
        { ...fields, errorClass, errorMessage, runAt: applied?.runAt },
        "call failed",
      );
    } else {
      logger.debug(fields, "request completed");
    }
  }

  async function abortCancelled(): Promise<void> {
    if (
      workerId === null ||
      inFlight.size === 0 ||
      Date.now() - lastCancellationsAt < options.pollIntervalMs / 2
    )
      return;
    lastCancellationsAt = Date.now();
    for (const { claimId } of await database.takeCancellations(workerId))
      inFlight.abort(claimId, "cancelled");
  }

  async function heartbeat(): Promise<void> {
    if (workerId === null || (await database.heartbeat(workerId, workerInfo()))) return;
    logger.error(
      { workerId, inFlight: inFlight.size },
      "this worker was given up, its calls run elsewhere now",
    );
    inFlight.abortAll("lost");
    workerId = await register();
  }

  async function maintain(): Promise<void> {
    const done = await database.maintain();
    if (done !== null && done.recovered > 0)
      logger.warn({ requests: done.recovered }, "gave back lost requests");
  }

  async function readSettings(): Promise<void> {
    settings = await database.settings();
  }

  async function housekeeping(): Promise<void> {
    await database.ensurePartitions();
    let removed = 0;
    for (let batch = -1; batch !== 0 && !stopping.signal.aborted; removed += batch) {
      batch = await database.cleanup(options.retentionDays);
    }
    if (removed > 0) logger.info({ requests: removed }, "removed requests past the retention");
  }

  async function shutDown(graceMs: number): Promise<void> {
    stopping.abort();
    await listener?.stop();
    await loop;
    const drained = new AbortController();
    const grace = sleep(graceMs, undefined, { signal: AbortSignal.any([drained.signal, hurrying.signal]) });
    await Promise.race([Promise.all(running), grace.catch(() => undefined)]);
    drained.abort();
    inFlight.abortAll("shutdown");
    const abandon = setTimeout(() => writer.abandon(), 5_000);
    await Promise.all(running);
    await writer.drain();
    clearTimeout(abandon);
    await Promise.all(periodics.map((periodic) => periodic.stop()));
    if (workerId !== null) {
      await database
        .unregisterWorker(workerId)
        .catch((error) => logger.warn({ err: error }, "could not sign off, recovery will"));
    }
    logger.info({ workerId }, "orchestrator stopped");
  }

  return {
    start,
    stop(graceMs = 30_000) {
      if (graceMs === 0) hurrying.abort();
      stopped ??= shutDown(graceMs);
      return stopped;
    },
    stats: () => ({
      workerId,
      inFlight: inFlight.size,
      unstored: writer.pending,
      listenerMode: listener?.mode ?? "off",
      lastClaimAt,
    }),
  };
}

function unexpected(request: ClaimedRequest, error: unknown): RequestOutcome {
  return {
    kind: "failed",
    requestId: request.id,
    claimId: request.claimId,
    errorClass: "exception",
    errorMessage: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
    retryAfterMs: null,
    repairs: [],
    reasks: 0,
    calls: [],
  };
}
