import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createSubscriptions, type Finished } from "../../src/client/subscriptions.ts";
import type { LlmRequest } from "../../src/index.ts";

/** A database with a clock of its own, transactions that are open for long, and no notifications. */
function createDatabase() {
  const startMs = Date.parse("2026-01-01T00:00:00Z");
  const nowMs = () => startMs + performance.now();
  const visible: Finished[] = [];
  let xid = 1000;
  let oldestOpen: number | null = null;
  const since: number[] = [];
  return {
    nowMs,
    since,
    beginLong: () => {
      oldestOpen = xid++;
    },
    endLong: () => {
      oldestOpen = null;
    },
    show: (id: string, finishedMs: number) => visible.push({ id, finishedAt: new Date(finishedMs) }),
    dependencies: {
      clock: async () => nowMs(),
      finishedSince: async (_: string[], sinceMs: number) => {
        since.push(sinceMs);
        const number = xid++;
        return {
          at: nowMs(),
          xid: String(number),
          xmin: String(oldestOpen ?? number),
          finished: visible.filter(({ finishedAt }) => finishedAt.getTime() >= sinceMs),
        };
      },
      look: async (ids: string[]) =>
        visible
          .filter(({ id }) => ids.includes(id))
          .map(({ id, finishedAt }) => ({ id, finishedAt, agentId: "ada" }) as LlmRequest),
      isNotified: () => false,
      watchAgent: () => () => undefined,
      onLookFailed: (error: unknown) => {
        throw error;
      },
      onHandlerFailed: (error: unknown) => {
        throw error;
      },
    },
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("polls", () => {
  test("find what a transaction finished that stayed open for minutes, and tell it once", async () => {
    const database = createDatabase();
    const seen: string[] = [];
    const subscriptions = createSubscriptions(database.dependencies);
    subscriptions.subscribe("ada", ({ id }) => void seen.push(id));
    await vi.advanceTimersByTimeAsync(5000);
    database.beginLong();
    const finishedMs = database.nowMs();
    await vi.advanceTimersByTimeAsync(300_000);
    database.show("late", finishedMs);
    database.endLong();
    await vi.advanceTimersByTimeAsync(1000);
    expect(seen).toEqual(["late"]);
    subscriptions.notified(["late"]);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(seen).toEqual(["late"]);
    subscriptions.close();
  });

  test("read again no more than is still in doubt", async () => {
    const database = createDatabase();
    const subscriptions = createSubscriptions(database.dependencies);
    subscriptions.subscribe("ada", () => undefined);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(database.nowMs() - (database.since.at(-1) as number)).toBeLessThan(2000);
    database.beginLong();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(database.nowMs() - (database.since.at(-1) as number)).toBeLessThan(602_000);
    database.endLong();
    await vi.advanceTimersByTimeAsync(2000);
    expect(database.nowMs() - (database.since.at(-1) as number)).toBeLessThan(2000);
    subscriptions.close();
  });
});
