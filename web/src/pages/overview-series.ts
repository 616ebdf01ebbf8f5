/** From the buckets to what the charts draw. */
import type { Bucket, Depth, Ended, Overview } from "../../../src/http/dashboard/api-types.ts";
import type { Line } from "../components/chart.tsx";

export type Split = "all" | "models" | "agents";

/** More lines than these are not told apart. */
const MAX_LINES = 6;
/** A young history does not fill the width with nothing, nor a single point with itself. */
const SHORTEST_SECONDS = 300;

export type Series = {
  times: number[];
  depth: Line[];
  rates: Line[];
  latency: Line[];
  cost: Line[];
  tokens: Line[];
};

/** Nobody looked: there is no line. */
const SEEN = { isStacked: true, hasGaps: true };

type Slot = Bucket | null;
type Measured = Ended & { depth?: Depth | null };

export function seriesOf(overview: Overview, split: Split): Series {
  const { buckets, bucketSeconds, since, at } = overview;
  const byTime = new Map(buckets.map((bucket) => [bucket.at, bucket]));
  const nowSeconds = Date.parse(at) / 1000;
  const times: number[] = [];
  const first = Math.min(buckets[0]?.at ?? since, Math.floor(nowSeconds - SHORTEST_SECONDS));
  const start = Math.max(since, first - (first % bucketSeconds));
  for (let time = start; time <= nowSeconds; time += bucketSeconds) times.push(time);
  const slots = times.map((time): Slot => byTime.get(time) ?? null);
  // The bucket that has just begun would always look like a fall: it is drawn when it is over.
  if (slots.length > 1) {
    times.pop();
    slots.pop();
  }
  const perMinute = 60 / bucketSeconds;
  return split === "all" ? all(times, slots, perMinute) : parts(overview, split, times, slots, perMinute);
}

function all(times: number[], slots: Slot[], perMinute: number): Series {
  const line = (
    name: string,
    color: string,
    of: (bucket: Bucket) => number | null,
    absent: number | null,
  ): Line => ({
    name,
    color,
    values: slots.map((slot) => (slot === null ? absent : of(slot))),
  });
  return {
    times,
    depth: [
      { ...line("waiting", "pending", ({ depth }) => depth?.pending ?? null, null), ...SEEN },
      { ...line("running", "processing", ({ depth }) => depth?.processing ?? null, null), ...SEEN },
    ],
    rates: [
      line("completed", "completed", ({ total }) => total.completed * perMinute, 0),
      line("failed", "failed", ({ total }) => total.failed * perMinute, 0),
      line("cancelled", "cancelled", ({ total }) => total.cancelled * perMinute, 0),
    ],
    latency: [
      line("p50", "line-1", ({ total }) => total.p50Ms, null),
      line("p95", "line-2", ({ total }) => total.p95Ms, null),
    ],
    cost: [line("all", "line-1", ({ total }) => (total.costUsd ?? 0) * perMinute, 0)],
    tokens: [line("all", "line-1", ({ total }) => total.tokens * perMinute, 0)],
  };
}

function parts(
  overview: Overview,
  split: "models" | "agents",
  times: number[],
  slots: Slot[],
  perMinute: number,
): Series {
  const names = overview[split].slice(0, MAX_LINES).map(({ name }) => name);
  const lines = (of: (measured: Measured) => number | null, absent: number | null): Line[] =>
    names.map((name, index) => ({
      name,
      color: `line-${index + 1}`,
      values: slots.map((slot) => {
        const measured = slot?.[split][name];
        return measured === undefined ? absent : of(measured);
      }),
    }));
  const depths = names.map((name, index) => ({
    name,
    color: `line-${index + 1}`,
    hasGaps: true,
    values: slots.map((slot) => {
      // Seen, and nothing there: none. Nobody looked: not known.
      if (slot === null || slot.depth === null) return null;
      const depth = slot[split][name]?.depth;
      return depth === undefined ? 0 : depth.pending + depth.processing;
    }),
  }));
  return {
    times,
    depth: depths,
    rates: lines((measured) => (measured.completed + measured.failed + measured.cancelled) * perMinute, 0),
    latency: lines(({ p95Ms }) => p95Ms, null),
    cost: lines(({ costUsd }) => (costUsd ?? 0) * perMinute, 0),
    tokens: lines(({ tokens }) => tokens * perMinute, 0),
  };
}
