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

/**
 * Who submitted before the flag was set does not notify, and may commit after the look that follows. These
 * pauses before further looks catch nearly all of them; the poll catches the rest.
 */
const PAUSES_AFTER_ARMING_MS = [0, 3, 12];

export type SleepPolicy = {
  /** Told after every claim how many rows it brought. May ask the database. */
  claimed(count: number): Promise<void>;
  /** There is nothing more to claim: how long to sleep when nothing wakes it. Asks the database. */
  next(): Promise<number>;
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
  let looks: number[] = [];

  return {
    async claimed(count) {
      if (count >= BUSY_CLAIM) streak += 1;
      empty = count === 0 ? empty + 1 : 0;
      if (empty >= 2) streak = 0;
      if (streak < BUSY_STREAK) {
        disarmed = false;
      } else if (!disarmed && isListening()) {
        await database.disarmWake();
        disarmed = true;
      }
    },
    async next() {
      if (streak >= BUSY_STREAK) return Math.min(BUSY_PAUSE_MS, pollIntervalMs);
      if (!isListening()) return pollIntervalMs;
      if (await database.armWake()) looks = [...PAUSES_AFTER_ARMING_MS];
      return Math.min(looks.shift() ?? pollIntervalMs, pollIntervalMs);
    },
  };
}
