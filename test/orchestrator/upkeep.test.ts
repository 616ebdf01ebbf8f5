import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { QueueDatabase } from "../../src/database/queue.ts";
import type { Membership } from "../../src/orchestrator/membership.ts";
import { createUpkeep } from "../../src/orchestrator/upkeep.ts";
import { memoryLogger } from "./support.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** The upkeep of a process, and which of its calls reached the database. */
function startUpkeep(heartbeatIntervalMs: number) {
  const calls: string[] = [];
  const database = {
    maintain: async () => {
      calls.push("maintain");
      return null;
    },
    settings: async () => ({}),
    ensurePartitions: async () => 0,
    cleanup: async () => 0,
  } as unknown as QueueDatabase;
  const membership: Pick<Membership, "heartbeat"> = { heartbeat: async () => void calls.push("heartbeat") };
  const upkeep = createUpkeep({
    database,
    membership: membership as Membership,
    heartbeatIntervalMs,
    retentionDays: 90,
    stopping: new AbortController().signal,
    logger: memoryLogger().logger,
  });
  upkeep.start();
  return { upkeep, calls };
}

test("a process that stood still says first that it lives, and gives nobody up for five seconds", async () => {
  const { upkeep, calls } = startUpkeep(60_000);
  await vi.advanceTimersByTimeAsync(2_500);
  expect(calls.filter((call) => call === "maintain").length).toBeGreaterThanOrEqual(2);

  calls.length = 0;
  vi.setSystemTime(Date.now() + 3_600_000);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(calls).toEqual(["heartbeat"]);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(calls).toContain("maintain");
  await upkeep.stop();
});
