/**
 * Stores outcomes in batches: what gathers while one batch is being written is the next batch, so that an
 * idle system writes at once and a busy one in hundreds. An outcome is never given up while the process
 * lives: the database being away delays it, and an outcome that the database refuses is reported as an
 * exception instead. One that somebody's open transaction or a time limit holds up is set apart, so that it holds
 * up no other, and is tried again and again.
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
import { storageErrorKind } from "./storage-error.ts";

const MAX_BATCH = 500;
/** In UTF-16 code units of the answers; a message to Postgres ends at 1 GB, a string in Node at half of that. */
const MAX_BATCH_LENGTH = 8_000_000;
const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 2_000;
/** What is set apart is tried again after this. */
const PARKED_MS = 1_000;
/** So often an error that may lie in the data is taken for one of the server. */
const MAX_UNCLEAR = 4;

export type OutcomeWriter = {
  /** Takes an outcome; resolves when it is stored, with null when it never will be. Never rejects. */
  write(outcome: RequestOutcome): Promise<AppliedOutcome | null>;
  /** Outcomes that are not stored yet. */
  readonly pending: number;
  /** Their claims. */
  claimIds(): string[];
  /** Stop trying: what is left is given up to recovery, also the batch under way. */
  abandon(): void;
};

type Entry = {
  outcome: RequestOutcome;
  settle: (applied: AppliedOutcome | null) => void;
};

export function createOutcomeWriter(
  database: Pick<QueueDatabase, "complete" | "fail" | "busyClaims">,
  logger: Logger,
): OutcomeWriter {
  const queues: Record<RequestOutcome["kind"], Entry[]> = { completed: [], failed: [] };
  const unsettled = new Set<Entry>();
  const running = new Set<RequestOutcome["kind"]>();
  const abandoned = new AbortController();

  /** Answers and failures apart: what holds up the one need not hold up the other. */
  async function run(kind: RequestOutcome["kind"]): Promise<void> {
    const waiting = queues[kind];
    running.add(kind);
    while (waiting.length > 0) await store(waiting.splice(0, batchLength(waiting)));
    running.delete(kind);
  }

  function enqueue(entries: Entry[]): void {
    for (const entry of entries) queues[entry.outcome.kind].push(entry);
    for (const kind of ["completed", "failed"] as const) {
      if (queues[kind].length > 0 && !running.has(kind)) void run(kind);
    }
  }

  /** Tries them again in a while, behind what came meanwhile. */
  function park(entries: Entry[], error: unknown): void {
    logger.warn({ err: error, outcomes: entries.length }, "outcomes are held up, will try again");
    void sleep(PARKED_MS, undefined, { signal: abandoned.signal })
      .catch(() => undefined)
      .then(() => enqueue(entries));
  }

  /** Sets those apart whose rows somebody else holds; all of them when it is none of their rows. */
  async function passBlocked(entries: Entry[], error: unknown): Promise<void> {
    const claims = entries.map((entry) => entry.outcome.claimId);
    const busy = new Set(await unlessAbandoned(database.busyClaims(claims).catch(() => [])));
    const free = entries.filter((entry) => !busy.has(entry.outcome.claimId));
    if (busy.size === 0 || free.length === 0) return park(entries, error);
    park(
      entries.filter((entry) => busy.has(entry.outcome.claimId)),
      error,
    );
    return store(free);
  }

  async function store(entries: Entry[]): Promise<void> {
    if (entries.length === 0) return;
    let retryMs = FIRST_RETRY_MS;
    let unclear = 0;
    while (!abandoned.signal.aborted) {
      try {
        const applied = await unlessAbandoned(send(entries));
        for (const [index, entry] of entries.entries()) settle(entry, applied?.[index] ?? null);
        return;
      } catch (error) {
        const kind = storageErrorKind(error);
        if (kind === "blocked") return passBlocked(entries, error);
        if (kind === "slow" && entries.length === 1) return park(entries, error);
        if (kind === "unclear" || kind === "slow") unclear += 1;
        if (kind === "refused" || unclear >= MAX_UNCLEAR) return isolate(entries, error);
        const fields = { err: error, outcomes: entries.length, retryMs };
        logger.warn(fields, "could not store outcomes, trying again");
        await sleep(retryMs, undefined, { signal: abandoned.signal }).catch(() => undefined);
        retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
      }
    }
    for (const entry of entries) settle(entry, null);
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
    const { requestId } = only.outcome;
    const instead = insteadOf(only.outcome, error);
    if (instead === null) {
      logger.error({ err: error, requestId }, "the database refuses every outcome of this request");
      return settle(only, null);
    }
    logger.error({ err: error, requestId }, "the database refused an outcome");
    only.outcome = instead;
    return store([only]);
  }

  function send(entries: Entry[]): Promise<AppliedOutcome[]> {
    const outcomes = entries.map((entry) => entry.outcome);
    return outcomes[0]?.kind === "completed"
      ? database.complete(outcomes as CompletedOutcome[])
      : database.fail(outcomes as FailedOutcome[]);
  }

  /** A query on a half-open connection may take a minute to fail: nobody who is leaving waits for it. */
  function unlessAbandoned<T>(work: Promise<T>): Promise<T | null> {
    return new Promise((resolve, reject) => {
      const giveUp = () => resolve(null);
      abandoned.signal.addEventListener("abort", giveUp, { once: true });
      work.then(resolve, reject).finally(() => abandoned.signal.removeEventListener("abort", giveUp));
    });
  }

  function settle(entry: Entry, applied: AppliedOutcome | null): void {
    unsettled.delete(entry);
    entry.settle(applied);
  }

  return {
    write(outcome) {
      return new Promise((resolve) => {
        const entry = { outcome, settle: resolve };
        unsettled.add(entry);
        enqueue([entry]);
      });
    },
    get pending() {
      return unsettled.size;
    },
    claimIds: () => [...unsettled].map((entry) => entry.outcome.claimId),
    abandon() {
      abandoned.abort();
    },
  };
}

/** How many of the first entries make a batch; at least one. */
function batchLength(waiting: Entry[]): number {
  let length = 0;
  const tooLong = waiting.findIndex((entry, index) => {
    length += entry.outcome.response?.length ?? 0;
    return index > 0 && length > MAX_BATCH_LENGTH;
  });
  return Math.min(tooLong === -1 ? waiting.length : tooLong, MAX_BATCH);
}

/** Less and less of what was refused: first without the answer, then without its calls; null after that. */
function insteadOf(outcome: RequestOutcome, error: unknown): FailedOutcome | null {
  const bare =
    outcome.kind === "failed" && outcome.errorClass === "exception" && outcome.response === undefined;
  if (bare && outcome.calls.length === 0) return null;
  return {
    kind: "failed",
    requestId: outcome.requestId,
    claimId: outcome.claimId,
    errorClass: "exception",
    errorMessage: `The outcome could not be stored: ${error instanceof Error ? error.message : String(error)}`,
    retryAfterMs: null,
    repairs: [],
    reasks: 0,
    calls: bare ? [] : outcome.calls,
    notedCalls: bare ? 0 : outcome.notedCalls,
  };
}
