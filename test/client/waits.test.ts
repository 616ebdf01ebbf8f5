import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createWaits, type WaitsDependencies } from "../../src/client/waits.ts";
import type { LlmRequest } from "../../src/index.ts";

/** Looks that the test answers one by one. */
function answeredByHand(isNotified: boolean) {
  const looks: {
    ids: string[];
    finishedOnly: boolean;
    answer(requests: object[]): void;
    fail(error: Error): void;
  }[] = [];
  const watched: string[] = [];
  const dependencies: WaitsDependencies = {
    look: (ids, finishedOnly) =>
      new Promise((resolve, reject) => {
        const answer = (requests: object[]) => resolve(requests as LlmRequest[]);
        looks.push({ ids, finishedOnly, answer, fail: reject });
      }),
    isNotified: () => isNotified,
    watchAgent: (agentId) => {
      watched.push(agentId);
      return () => void watched.splice(watched.indexOf(agentId), 1);
    },
    onLookFailed: () => undefined,
  };
  const next = async () => {
    await vi.advanceTimersByTimeAsync(5);
    const look = looks.shift();
    if (look === undefined) throw new Error("nobody looks");
    return look;
  };
  return { waits: createWaits(dependencies), looks, next, watched };
}

const open = (id: string) => ({ id, agentId: "ada", finishedAt: null });
const done = (id: string) => ({ id, agentId: "ada", finishedAt: new Date() });

describe("when to look", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("a notification that comes while a look is under way causes another look at once", async () => {
    const { waits, next } = answeredByHand(true);
    const waiting = waits.wait("a", {});
    const first = await next();
    waits.notified(["a"]);
    first.answer([open("a")]);
    (await next()).answer([done("a")]);
    expect(await waiting).toMatchObject({ id: "a" });
  });

  test("while notifications arrive it looks once a second, without them from 20 ms on ever slower", async () => {
    for (const [isNotified, expected] of [
      [true, [1000, 1000, 1000]],
      [false, [20, 40, 80, 160, 320, 640, 1000, 1000]],
    ] as const) {
      const { waits, next, looks } = answeredByHand(isNotified);
      const waiting = waits.wait("a", {});
      (await next()).answer([open("a")]);
      for (const pause of expected) {
        await vi.advanceTimersByTimeAsync(pause - 10);
        expect(looks).toEqual([]);
        await vi.advanceTimersByTimeAsync(10);
        const look = looks.shift();
        expect(look?.finishedOnly).toBe(true);
        look?.answer([]);
      }
      await vi.advanceTimersByTimeAsync(1000);
      looks.shift()?.answer([done("a")]);
      await waiting;
    }
  });

  test("a request that was just submitted is looked at after 20 ms, and its agent is watched at once", async () => {
    const { waits, looks, watched } = answeredByHand(true);
    const waiting = waits.wait("a", {}, "ada");
    expect(watched).toEqual(["ada"]);
    await vi.advanceTimersByTimeAsync(15);
    expect(looks).toEqual([]);
    await vi.advanceTimersByTimeAsync(10);
    expect(looks[0]?.finishedOnly).toBe(true);
    looks[0]?.answer([done("a")]);
    await waiting;
    expect(watched).toEqual([]);
  });

  test("after a new connection everything is looked at, and for a new channel its agent's requests", async () => {
    const { waits, next } = answeredByHand(true);
    const waiting = Promise.all([waits.wait("a", {}), waits.wait("b", {})]);
    (await next()).answer([open("a"), { ...open("b"), agentId: "bob" }]);
    await vi.advanceTimersByTimeAsync(100);
    waits.lookAtAll("bob");
    const one = await next();
    expect(one.ids).toEqual(["b"]);
    one.answer([]);
    await vi.advanceTimersByTimeAsync(100);
    waits.lookAtAll(null);
    const both = await next();
    expect(both.ids).toEqual(["a", "b"]);
    both.answer([done("a"), done("b")]);
    await waiting;
  });

  test("after a failed look it looks again, in time with the others", async () => {
    const { waits, next, looks } = answeredByHand(false);
    const waiting = waits.wait("a", {});
    (await next()).fail(new Error("connection lost"));
    await vi.advanceTimersByTimeAsync(20);
    looks.shift()?.answer([done("a")]);
    await waiting;
  });

  test("nothing is looked at, and nobody watched, once nobody waits", async () => {
    const { waits, next, looks, watched } = answeredByHand(false);
    const first = waits.wait("a", { timeoutMs: 50 }).catch((error) => error.name);
    const second = waits.wait("a", { timeoutMs: 100 }).catch((error) => error.name);
    (await next()).answer([open("a")]);
    await vi.advanceTimersByTimeAsync(1);
    expect(watched).toEqual(["ada"]);
    await vi.advanceTimersByTimeAsync(200);
    while (looks.length > 0) {
      looks.shift()?.answer([]);
      await vi.advanceTimersByTimeAsync(200);
    }
    expect([await first, await second]).toEqual(["WaitTimeoutError", "WaitTimeoutError"]);
    expect(watched).toEqual([]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(looks).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
