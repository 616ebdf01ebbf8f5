import { expect, test } from "vitest";
import type { FinishedGroup } from "../../../src/database/dashboard/finished.ts";
import { bucketOf, createHistory } from "../../../src/http/dashboard/history.ts";

const group = (over: Partial<FinishedGroup> = {}): FinishedGroup => ({
  at: 1_000,
  by: "model",
  name: "small",
  status: "completed",
  latencyClass: 38,
  count: 1,
  tokens: 10,
  costUsd: null,
  ...over,
});

const classOf = (ms: number) => Math.ceil(Math.log(ms) / Math.log(1.2));

test("percentiles are right to within a tenth, over any number of buckets", () => {
  const history = createHistory();
  const latencies = Array.from({ length: 1_000 }, (_, index) => 5 + ((index * 7919) % 1_000) * 3);
  history.replace(
    0,
    latencies.map((ms, index) => group({ at: (index % 50) * 10, latencyClass: classOf(ms) })),
  );
  const sorted = latencies.toSorted((one, other) => one - other);
  const { p50Ms, p95Ms, completed } = history.total();
  expect(completed).toBe(1_000);
  expect(Math.abs((p50Ms ?? 0) / (sorted[499] ?? 1) - 1)).toBeLessThan(0.11);
  expect(Math.abs((p95Ms ?? 0) / (sorted[949] ?? 1) - 1)).toBeLessThan(0.11);
});

test("what is read again replaces what was known of that time, and nothing before it", () => {
  const history = createHistory();
  history.replace(0, [group({ at: 1_000 }), group({ at: 1_010, count: 5 })]);
  history.replace(1_010, [group({ at: 1_010, count: 2 }), group({ at: 1_020, status: "failed" })]);
  expect(history.buckets(0).map(({ at, total }) => [at, total.completed, total.failed])).toEqual([
    [1_000, 1, 0],
    [1_010, 2, 0],
    [1_020, 0, 1],
  ]);
  history.forgetBefore(1_010);
  expect(history.total()).toMatchObject({ completed: 2, failed: 1 });
});

test("those without a line of their own count in the total", () => {
  const history = createHistory();
  history.replace(0, [
    group({ count: 3 }),
    group({ name: null, count: 4 }),
    group({ by: "agent", name: "ada", count: 7 }),
  ]);
  expect(history.total().completed).toBe(7);
  expect(history.models([]).map(({ name, completed }) => [name, completed])).toEqual([["small", 3]]);
  expect(history.agents([{ name: "bob", pending: 1, processing: 0 }]).map(({ name }) => name)).toEqual([
    "ada",
    "bob",
  ]);
});

test("a cost nobody knows stays unknown, and is not nothing", () => {
  const history = createHistory();
  history.replace(0, [group()]);
  expect(history.total().costUsd).toBeNull();
  history.replace(0, [group(), group({ costUsd: 0.5 }), group({ costUsd: 0.25 })]);
  expect(history.total().costUsd).toBe(0.75);
});

test("what was seen to wait belongs to the bucket of its time", () => {
  const history = createHistory();
  const models = [{ name: "small", pending: 2, processing: 1 }];
  history.see({ at: "", now: 1_017, oldestPendingAt: null, models, agents: [], workers: [] });
  expect(bucketOf(1_017)).toBe(1_010);
  expect(history.buckets(0)).toMatchObject([
    { at: 1_010, depth: { pending: 2, processing: 1 }, models: { small: { depth: { pending: 2 } } } },
  ]);
});
