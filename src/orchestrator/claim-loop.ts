/**
 * THE LOOP: clear the wake flag, look for cancelled calls, claim, dispatch; a full claim repeats, else wait
 * for a wake-up, a due time or the poll. It alone claims, so what it holds is known whenever it looks.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { QueueDatabase } from "../database/queue.ts";
import type { Calls } from "./calls.ts";
import type { InFlight } from "./in-flight.ts";
import type { Membership } from "./membership.ts";
import type { OutcomeWriter } from "./outcome-writer.ts";
import type { SleepPolicy } from "./sleep-policy.ts";
import type { Tracing } from "./tracing.ts";
import type { OrchestratorObserver } from "./types.ts";
import type { Wake } from "./wake.ts";

/** When one call ends, a few more do within milliseconds: claim for all of them at once. */
const GATHER_MS = 4;
const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 1_000;
/** Cancelled calls are looked for this often at most. */
const CANCELLATIONS_MS = 50;

export type ClaimLoop = {
  /** Runs until `stopping` aborts; never rejects. */
  run(): Promise<void>;
  /** Aborts the calls whose requests were cancelled in SQL. */
  abortCancelled(): Promise<void>;
  /** From now on a claim that comes back late is left alone: recovery gives it to others. */
  close(): void;
  /** A place for another call became free: in this process, or also under a limit of the database. */
  roomMade(limited: boolean): void;
  /** When it last looked for work, with an answer, or had no place for any. */
  readonly lastLookAt: Date | null;
};

export type ClaimLoopOptions = {
  database: Pick<QueueDatabase, "claim" | "takeCancellations" | "lostClaims" | "releaseAllBut">;
  membership: Membership;
  calls: Calls;
  inFlight: InFlight;
  writer: OutcomeWriter;
  wake: Wake;
  sleepPolicy: SleepPolicy;
  stopping: AbortSignal;
  batchSize: number;
  pollIntervalMs: number;
  /** How often it compares what it runs with what the database says it does. */
  tidyIntervalMs: number;
  observer: OrchestratorObserver | undefined;
  tracing: Tracing;
  logger: Logger;
};

export function createClaimLoop(options: ClaimLoopOptions): ClaimLoop {
  const {
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
    logger,
  } = options;
  let closed = false;
  let full = false;
  let gathering = false;
  let lastLookAt: Date | null = null;
  let cancellationsAt = Number.NEGATIVE_INFINITY;
  let tidiedAt = performance.now();

  async function run(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    while (!stopping.aborted) {
      try {
        wake.clear();
        await look();
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        logger.error({ err: error, retryMs }, "could not claim, trying again");
        if (isUnknownWorker(error)) await membership.heartbeat().catch(() => undefined);
        await sleep(retryMs, undefined, { signal: stopping }).catch(() => undefined);
        retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
      }
    }
  }

  async function look(): Promise<void> {
    const againInMs = await abortCancelledSometimes();
    await tidy();
    const room = Math.min(options.batchSize, calls.room);
    full = room <= 0;
    if (full) {
      lastLookAt = new Date();
      await pause(Math.min(options.pollIntervalMs, againInMs));
      return;
    }
    if ((await claim(room)) === room) return;
    await pause(Math.min(await sleepPolicy.next(), againInMs));
  }

  async function pause(maxMs: number): Promise<void> {
    await wake.wait(maxMs, stopping);
    if (gathering) await sleep(GATHER_MS, undefined, { signal: stopping }).catch(() => undefined);
    gathering = false;
  }

  async function claim(room: number): Promise<number> {
    const { workerId } = membership;
    if (workerId === null) return 0;
    const startedAt = performance.now();
    const requests = await database.claim(workerId, room);
    if (closed) return 0;
    if (stopping.aborted) return giveBackUnknown(workerId);
    lastLookAt = new Date();
    const durationMs = performance.now() - startedAt;
    tracing.claimed(requests, durationMs);
    calls.dispatch(requests);
    observer?.claimed?.(requests.length, durationMs / 1000);
    await sleepPolicy.claimed(requests.length);
    return requests.length;
  }

  /** How long until it is worth a look again: a wake-up may tell of a cancellation. */
  async function abortCancelledSometimes(): Promise<number> {
    if (inFlight.size === 0) return Number.POSITIVE_INFINITY;
    const sinceMs = performance.now() - cancellationsAt;
    if (sinceMs < CANCELLATIONS_MS) return CANCELLATIONS_MS - sinceMs;
    await abortCancelled();
    return Number.POSITIVE_INFINITY;
  }

  async function abortCancelled(): Promise<void> {
    const { workerId } = membership;
    if (workerId === null || inFlight.size === 0) return;
    cancellationsAt = performance.now();
    for (const { claimId } of await database.takeCancellations(workerId)) {
      inFlight.abort(claimId, "cancelled");
    }
  }

  async function tidy(): Promise<void> {
    const { workerId } = membership;
    if (workerId === null || performance.now() - tidiedAt < options.tidyIntervalMs) return;
    const released = await giveBackUnknown(workerId);
    if (released > 0) logger.warn({ requests: released }, "gave back requests whose claim never arrived");
    await abortLost(workerId);
    tidiedAt = performance.now();
  }

  /**
   * A connection that breaks behind the commit of a claim takes the rows with it: the database says that this
   * process runs them, and nobody does. So does an outcome that was refused in every form.
   */
  function giveBackUnknown(workerId: string): Promise<number> {
    return database.releaseAllBut(workerId, [...inFlight.claimIds(), ...writer.claimIds()]);
  }

  /** The other way round: a cancellation can be lost on its way, and the call would go on for nobody. */
  async function abortLost(workerId: string): Promise<void> {
    if (inFlight.size === 0) return;
    for (const claimId of await database.lostClaims(workerId, inFlight.claimIds())) {
      inFlight.abort(claimId, "lost");
    }
  }

  return {
    run,
    abortCancelled,
    close() {
      closed = true;
    },
    roomMade(limited) {
      if (!full && !limited) return;
      gathering = true;
      wake.set();
    },
    get lastLookAt() {
      return lastLookAt;
    },
  };
}

/** LQ004: this worker was given up. */
function isUnknownWorker(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "LQ004";
}
