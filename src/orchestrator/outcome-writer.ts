/**
 * Stores outcomes in batches: what gathers while one batch is being written is the next batch, so that an
 * idle system writes at once and a busy one in hundreds. An outcome is never given up while the process
 * lives: the database being away delays it, and an outcome that the database refuses is reported as an
 * exception instead.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type {
  AppliedOutcome,
  CompletedOutcome,
  FailedOutcome,
  QueueDatabase,
  RequestOutcome,
} from "../database/queue.ts";

const MAX_BATCH = 500;
const MAX_RETRY_MS = 5_000;

export type OutcomeWriter = {
  /** Takes an outcome; resolves when it is stored. Never rejects. */
  write(outcome: RequestOutcome): Promise<AppliedOutcome | null>;
  /** Outcomes that are not stored yet. */
  readonly pending: number;
  /** Resolves when everything handed in so far is stored. */
  drain(): Promise<void>;
  /** Stop trying when the database stays away: what is left is given up to recovery. */
  abandon(): void;
};

type Entry = { outcome: RequestOutcome; settle: (applied: AppliedOutcome | null) => void };

export function createOutcomeWriter(database: QueueDatabase, logger: Logger): OutcomeWriter {
  let waiting: Entry[] = [];
  let writing = 0;
  let running: Promise<void> | null = null;
  const abandoned = new AbortController();

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MAX_BATCH);
      waiting = waiting.slice(MAX_BATCH);
      writing = batch.length;
      await Promise.all([
        store(batch.filter((entry) => entry.outcome.kind === "completed")),
        store(batch.filter((entry) => entry.outcome.kind === "failed")),
      ]);
      writing = 0;
    }
    running = null;
  }

  async function store(entries: Entry[]): Promise<void> {
    if (entries.length === 0) return;
    let retryMs = 50;
    while (!abandoned.signal.aborted) {
      try {
        settle(entries, await send(entries.map((entry) => entry.outcome)));
        return;
      } catch (error) {
        if (refusedByDatabase(error)) return isolate(entries, error);
        logger.warn(
          { err: error, outcomes: entries.length, retryMs },
          "could not store outcomes, trying again",
        );
        await sleep(retryMs, undefined, { signal: abandoned.signal }).catch(() => undefined);
        retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
      }
    }
    for (const entry of entries) entry.settle(null);
  }

  /** One bad outcome must not hold up the batch: halve it until it stands alone, then report it as failed. */
  async function isolate(entries: Entry[], error: unknown): Promise<void> {
    const [only] = entries;
    if (entries.length > 1) {
      const half = Math.ceil(entries.length / 2);
      await store(entries.slice(0, half));
      return store(entries.slice(half));
    }
    if (only === undefined) return;
    if (
      only.outcome.kind === "failed" &&
      only.outcome.errorClass === "exception" &&
      only.outcome.calls.length === 0
    ) {
      logger.error({ err: error, requestId: only.outcome.requestId }, "the database refuses this outcome");
      return only.settle(null);
    }
    logger.error({ err: error, requestId: only.outcome.requestId }, "the database refused an answer");
    only.outcome = refusedOutcome(only.outcome, error);
    return store([only]);
  }

  async function send(outcomes: RequestOutcome[]): Promise<AppliedOutcome[]> {
    return outcomes[0]?.kind === "completed"
      ? database.complete(outcomes as CompletedOutcome[])
      : database.fail(outcomes as FailedOutcome[]);
  }

  return {
    write(outcome) {
      return new Promise((resolve) => {
        waiting.push({ outcome, settle: resolve });
        running ??= run();
      });
    },
    get pending() {
      return waiting.length + writing;
    },
    async drain() {
      while (running !== null) await running;
    },
    abandon() {
      abandoned.abort();
    },
  };
}

function settle(entries: Entry[], applied: AppliedOutcome[]): void {
  for (const [index, entry] of entries.entries()) entry.settle(applied[index] ?? null);
}

/** SQLSTATE classes 22, 23, 42, 54 and LQ are about the data; everything else is about the connection or server. */
function refusedByDatabase(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /^(22|23|42|54|LQ|P0)/.test(code);
}

function refusedOutcome(outcome: RequestOutcome, error: unknown): FailedOutcome {
  return {
    kind: "failed",
    requestId: outcome.requestId,
    claimId: outcome.claimId,
    errorClass: "exception",
    errorMessage: `The answer could not be stored: ${error instanceof Error ? error.message : String(error)}`,
    retryAfterMs: null,
    repairs: [],
    reasks: 0,
    calls: [],
  };
}
