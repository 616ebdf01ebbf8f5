/**
 * The orchestrator: wait (NOTIFY, due time or poll) -> claim -> call providers, concurrently -> check ->
 * store in batches. No transaction is open during a call. Any number of these run on one database;
 * everything they must agree on is decided in SQL.
 *
 *   claim-loop       the loop                     calls           a claimed request, to its stored outcome
 *   sleep-policy     how it sleeps                process-request ask, check, ask again
 *   membership       worker row and heartbeat     outcome-writer  batches, also through an outage
 *   upkeep           maintenance, settings        shutdown        the orderly end
 *   tracing          OpenTelemetry spans          outcome-log     one line per outcome
 */
import { createListener } from "../database/listener.ts";
import { createQueueDatabase } from "../database/queue.ts";
import { schemaVersion } from "../database/schema-version.ts";
import { createCalls } from "./calls.ts";
import { createClaimLoop } from "./claim-loop.ts";
import { createInFlight } from "./in-flight.ts";
import { createMembership } from "./membership.ts";
import { createOutcomeWriter } from "./outcome-writer.ts";
import { type Parts, shutDown } from "./shutdown.ts";
import { createSleepPolicy } from "./sleep-policy.ts";
import { createTracing } from "./tracing.ts";
import type { Orchestrator, OrchestratorOptions } from "./types.ts";
import { createUpkeep } from "./upkeep.ts";
import { createWake, type Wake } from "./wake.ts";

export type { Orchestrator, OrchestratorObserver, OrchestratorOptions, OrchestratorStats } from "./types.ts";

const DEFAULT_GRACE_MS = 30_000;

export class SchemaVersionError extends Error {
  override readonly name = "SchemaVersionError";
}

/** Makes an orchestrator; nothing happens before `start()`. The pool and the providers stay the caller's to close. */
export function createOrchestrator(options: OrchestratorOptions): Orchestrator {
  const { logger } = options;
  const database = createQueueDatabase(options.pool, options.heartbeatPool);
  const stopping = new AbortController();
  const hurrying = new AbortController();
  const parts = assemble(options, database, stopping.signal);
  const { listener, loop, upkeep, membership, inFlight, writer } = parts;
  let starting: Promise<void> | null = null;
  let looping: Promise<void> = Promise.resolve();
  let stopped: Promise<void> | null = null;

  async function start(): Promise<void> {
    await checkSchemaVersion(database);
    await upkeep.readSettings();
    await membership.join();
    await listener?.start();
    if (stopping.signal.aborted) return;
    upkeep.start();
    looping = loop.run();
    logger.info({ workerId: membership.workerId, concurrency: options.concurrency }, "orchestrator started");
  }

  async function stop(graceMs: number): Promise<void> {
    stopping.abort();
    await starting?.catch(() => undefined);
    await shutDown(parts, looping, graceMs, hurrying.signal);
    logger.info({ workerId: membership.workerId }, "orchestrator stopped");
  }

  return {
    start() {
      starting ??= start();
      return starting;
    },
    stop(graceMs = DEFAULT_GRACE_MS) {
      if (graceMs <= 0) hurrying.abort();
      stopped ??= stop(graceMs);
      return stopped;
    },
    stats: () => ({
      workerId: membership.workerId,
      inFlight: inFlight.size,
      concurrency: options.concurrency,
      unstored: writer.pending,
      listenerMode: listener?.mode ?? "off",
      lastLookAt: loop.lastLookAt,
      pollIntervalMs: options.pollIntervalMs,
      stopping: stopping.signal.aborted,
    }),
  };
}

type Database = ReturnType<typeof createQueueDatabase>;

function assemble(options: OrchestratorOptions, database: Database, stopping: AbortSignal): Parts {
  const { logger, observer, concurrency, pollIntervalMs, heartbeatIntervalMs, version } = options;
  const wake = createWake();
  const inFlight = createInFlight();
  const tracing = createTracing(version);
  const writer = createOutcomeWriter(database, logger);
  const listener = listenerFor(options, wake);
  const membership = createMembership({
    database,
    name: options.name,
    heartbeatIntervalMs,
    info: () => ({ version, in_flight: inFlight.size, concurrency, listener: listener?.mode ?? "off" }),
    onGivenUp: () => inFlight.abortAll("lost"),
    logger,
  });
  const upkeep = createUpkeep({ ...options, database, membership, stopping });
  const sleepPolicy = createSleepPolicy({
    database,
    pollIntervalMs,
    isListening: () => listener?.mode === "listening",
  });
  const onRoom = (limited: boolean) => loop.roomMade(limited);
  const calls = createCalls({
    ...options,
    database,
    writer,
    inFlight,
    observer,
    tracing,
    settings: () => upkeep.settings,
    onRoom,
  });
  const shared = {
    database,
    membership,
    calls,
    inFlight,
    writer,
    wake,
    sleepPolicy,
    stopping,
    observer,
    tracing,
  };
  const loop = createClaimLoop({ ...options, ...shared, tidyIntervalMs: heartbeatIntervalMs });
  return { listener, loop, calls, inFlight, writer, upkeep, membership, logger };
}

function listenerFor({ listenUrl, logger, observer }: OrchestratorOptions, wake: Wake) {
  if (listenUrl === null) return null;
  return createListener({
    connectionString: listenUrl,
    channels: ["llmq_wake"],
    onNotification: () => {
      wake.set();
      observer?.notified?.();
    },
    onModeChange: (mode) => {
      logger.info({ mode }, "listener mode");
      observer?.listenerMode?.(mode);
      wake.set();
    },
    logger,
  });
}

async function checkSchemaVersion(database: Database): Promise<void> {
  const found = await database.schemaVersion().catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });
  if (found === schemaVersion) return;
  throw new SchemaVersionError(
    found === null
      ? "The database has no llmq schema. Run: llmq migrate"
      : `The database has schema version ${found}, this orchestrator needs ${schemaVersion}. Run: llmq migrate`,
  );
}

/** No such schema (3F000) or function (42883). */
function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && /^(3F000|42883)$/.test(String(error.code));
}
