/**
 * How an orchestrator sleeps between two looks at the queue.
 *
 * At rest it arms the wake-up (submitters then NOTIFY) and sleeps until it is woken or the poll is due.
 * Under load every submitter's NOTIFY would cost it two thirds of its speed, so a busy orchestrator disarms
 * and looks again every few milliseconds by itself until it comes home with nothing.
 */
import type { QueueDatabase } from "../database/queue.ts";

/** Claims of this many rows in a row make an orchestrator busy. */
const BUSY_CLAIM = 8;
const BUSY_STREAK = 3;
const BUSY_PAUSE_MS = 4;

export type Sleep = { maxMs: number /** Look once more right away before sleeping. */; lookAgain: boolean };

export type SleepPolicy = {
  /** Told after every claim how many rows it brought. */
  claimed(count: number): void;
  /** What to do now that there is nothing more to claim. */
  next(): Promise<Sleep>;
};

export function createSleepPolicy(options: {
  database: Pick<QueueDatabase, "armWake" | "disarmWake">;
  pollIntervalMs: number;
  isListening: () => boolean;
}): SleepPolicy {
  const { database, pollIntervalMs, isListening } = options;
  let streak = 0;
  let empty = 0;
  let disarmed = false;

  return {
    claimed(count) {
      if (count >= BUSY_CLAIM) streak += 1;
      empty = count === 0 ? empty + 1 : 0;
      if (empty >= 2) streak = 0;
    },
    async next() {
      if (streak >= BUSY_STREAK) {
        if (!disarmed && isListening()) await database.disarmWake();
        disarmed = true;
        return { maxMs: Math.min(BUSY_PAUSE_MS, pollIntervalMs), lookAgain: false };
      }
      disarmed = false;
      if (!isListening()) return { maxMs: pollIntervalMs, lookAgain: false };
      return { maxMs: pollIntervalMs, lookAgain: await database.armWake() };
    },
  };
}
