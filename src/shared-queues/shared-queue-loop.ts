/**
 * Loop (b): empties the pgmq queues of `llmq.shared_queues`. Answers of external workers (`llm_results`) are
 * checked here and finish their requests; every other queue goes to its SQL handler. Any number of processes
 * may run it: each message takes effect once.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import type { Logger } from "pino";
import type { AnswerChecker } from "../answer/answer-checker.ts";
import { readExternalResult } from "./external-result.ts";
import { createSharedQueueDatabase, type MessageOutcome, type SettledResult } from "./statements.ts";

export type SharedQueueLoopOptions = {
  pool: Pool;
  checker: AnswerChecker;
  logger: Logger;
  /** `SHARED_QUEUE_POLL_MS`. */
  pollIntervalMs?: number;
  /** `SHARED_QUEUE_BATCH_SIZE`. */
  batchSize?: number;
  /** A handler that takes longer over a batch is ended, and has failed. Less than the pool's own limit. */
  handlerTimeoutMs?: number;
  /** Aborting it stops the loop. */
  signal?: AbortSignal;
  /** After each batch that was not empty, for metrics. */
  onBatch?: (queueName: string, outcomes: MessageOutcome[]) => void;
};

export type SharedQueueLoop = {
  start(): void;
  /** Resolves when the batches under way are done; no other is begun. May be called more than once. */
  stop(): Promise<void>;
};

const EXTERNAL_RESULTS = "llm_results";
const MAX_PAUSE_MS = 30_000;

export function createSharedQueueLoop(options: SharedQueueLoopOptions): SharedQueueLoop {
  const { pollIntervalMs = 1000, batchSize = 100, handlerTimeoutMs = 30_000, logger, checker } = options;
  const database = createSharedQueueDatabase(options.pool, handlerTimeoutMs);
  const stopping = new AbortController();
  /** One task per queue: a slow handler holds up its own queue only. */
  const draining = new Map<string, Promise<void>>();
  const troubles = new Map<string, { failures: number; notBefore: number }>();
  let unsettled: SettledResult[] = [];
  let running: Promise<void> | null = null;

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      try {
        for (const queueName of await database.queues()) begin(queueName);
        failures = 0;
      } catch (error) {
        failures += 1;
        logger.warn({ err: error, failures }, "could not look for shared queues, will again");
      }
      await sleep(pauseAfter(failures), undefined, { signal: stopping.signal }).catch(() => undefined);
    }
    await Promise.all(draining.values());
  }

  /** A stop may come while the queues are looked for: none is begun any more. */
  function begin(queueName: string): void {
    if (stopping.signal.aborted) return;
    if (draining.has(queueName) || performance.now() < (troubles.get(queueName)?.notBefore ?? 0)) return;
    draining.set(
      queueName,
      drain(queueName).finally(() => draining.delete(queueName)),
    );
  }

  /** Never rejects: what one queue does must not touch the others. */
  async function drain(queueName: string): Promise<void> {
    try {
      let outcomes: MessageOutcome[];
      do {
        outcomes = await (queueName === EXTERNAL_RESULTS
          ? settleBatch()
          : database.handle(queueName, batchSize));
        report(queueName, outcomes);
      } while (outcomes.length >= batchSize && !stopping.signal.aborted);
      troubles.delete(queueName);
    } catch (error) {
      const failures = (troubles.get(queueName)?.failures ?? 0) + 1;
      troubles.set(queueName, { failures, notBefore: performance.now() + pauseAfter(failures) });
      logger.error({ err: error, queueName, failures }, "could not handle a shared queue, will again");
    }
  }

  /** What could not be settled for want of a connection is kept: read again it could be only after its time. */
  async function settleBatch(): Promise<MessageOutcome[]> {
    if (unsettled.length === 0) {
      const results = await database.readExternalResults(batchSize);
      unsettled = await Promise.all(
        results.map(async (result) => ({ result, settlement: await readExternalResult(result, checker) })),
      );
    }
    if (unsettled.length === 0) return [];
    const outcomes = await settle(unsettled);
    unsettled = [];
    return outcomes;
  }

  /** A statement that is refused as a whole (too large) is halved, until the message to blame stands alone. */
  async function settle(settled: SettledResult[]): Promise<MessageOutcome[]> {
    try {
      return await database.settle(settled);
    } catch (error) {
      const [only] = settled;
      if (!isRefused(error) || only === undefined || only.settlement.kind === "set_aside") throw error;
      if (settled.length === 1) {
        const reason = error instanceof Error ? error.message : String(error);
        return await database.settle([{ ...only, settlement: { kind: "set_aside", reason } }]);
      }
      const half = Math.ceil(settled.length / 2);
      return [...(await settle(settled.slice(0, half))), ...(await settle(settled.slice(half)))];
    }
  }

  function report(queueName: string, outcomes: MessageOutcome[]): void {
    if (outcomes.length === 0) return;
    for (const { messageId, outcome, error } of outcomes) {
      if (outcome === "set_aside") logger.warn({ queueName, messageId, error }, "set a message aside");
      if (outcome === "retried") logger.warn({ queueName, messageId, error }, "a message failed, will retry");
    }
    options.onBatch?.(queueName, outcomes);
  }

  function pauseAfter(failures: number): number {
    return Math.max(pollIntervalMs, Math.min(pollIntervalMs * 2 ** failures, MAX_PAUSE_MS));
  }

  function stop(): Promise<void> {
    stopping.abort();
    return running ?? Promise.resolve();
  }

  return {
    start() {
      if (running !== null || stopping.signal.aborted || options.signal?.aborted) return;
      options.signal?.addEventListener("abort", stop, { once: true });
      running = run().finally(() => options.signal?.removeEventListener("abort", stop));
    },
    stop,
  };
}

/** SQLSTATE classes 22 and 54 blame the data; a RangeError says that its JSON text is too long for a string. */
function isRefused(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /^(22|54)/.test(code) || error instanceof RangeError;
}
