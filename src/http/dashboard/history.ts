/**
 * The last half hour in buckets of ten seconds, kept in memory while somebody looks: what ended is read once per
 * bucket from the database, how much waited is what was seen.
 */
import type { QueueState } from "../../database/dashboard/depth.ts";
import { BUCKET_SECONDS, type FinishedGroup, LATENCY_BASE } from "../../database/dashboard/finished.ts";
import type { Activity, Bucket, Depth, Ended } from "./api-types.ts";

export const HISTORY_SECONDS = 1_800;

type Tally = {
  counts: { completed: number; failed: number; cancelled: number };
  tokens: number;
  costUsd: number | null;
  /** Requests per class of latency. */
  classes: Map<number, number>;
};

type Span = {
  depth: Depth | null;
  models: Map<string, Tally>;
  agents: Map<string, Tally>;
  modelDepths: Map<string, Depth>;
  agentDepths: Map<string, Depth>;
};

export function createHistory() {
  const spans = new Map<number, Span>();

  function spanAt(at: number): Span {
    let span = spans.get(at);
    if (span === undefined) {
      span = {
        depth: null,
        models: new Map(),
        agents: new Map(),
        modelDepths: new Map(),
        agentDepths: new Map(),
      };
      spans.set(at, span);
    }
    return span;
  }

  return {
    /** Everything that ended since then is in `groups`: what was known of that time is replaced. */
    replace(since: number, groups: readonly FinishedGroup[]): void {
      for (const [at, span] of spans) {
        if (at < since) continue;
        span.models.clear();
        span.agents.clear();
      }
      for (const group of groups) {
        const span = spanAt(group.at);
        const tallies = group.by === "model" ? span.models : span.agents;
        const name = group.name ?? "";
        const tally = tallies.get(name) ?? emptyTally();
        addGroup(tally, group);
        tallies.set(name, tally);
      }
    },
    see(state: QueueState): void {
      const span = spanAt(bucketOf(state.now));
      span.depth = sumDepths(state.models);
      span.modelDepths = new Map(state.models.map(({ name, ...depth }) => [name, depth]));
      span.agentDepths = new Map(state.agents.map(({ name, ...depth }) => [name, depth]));
    },
    forgetBefore(at: number): void {
      for (const key of spans.keys()) if (key < at) spans.delete(key);
    },
    buckets(since: number): Bucket[] {
      return [...spans]
        .filter(([at]) => at >= since)
        .sort(([one], [other]) => one - other)
        .map(([at, span]) => toBucket(at, span));
    },
    total: (): Ended => toEnded(merge([...spans.values()].flatMap((span) => [...span.models.values()]))),
    models: (now: QueueState["models"]) =>
      activities(
        [...spans.values()].map(({ models }) => models),
        now,
      ),
    agents: (now: QueueState["agents"]) =>
      activities(
        [...spans.values()].map(({ agents }) => agents),
        now,
      ),
  };
}

export function bucketOf(seconds: number): number {
  return Math.floor(seconds / BUCKET_SECONDS) * BUCKET_SECONDS;
}

export function sumDepths(depths: readonly Depth[]): Depth {
  return {
    pending: depths.reduce((sum, depth) => sum + depth.pending, 0),
    processing: depths.reduce((sum, depth) => sum + depth.processing, 0),
  };
}

export function idle(name: string): Activity {
  return { name, pending: 0, processing: 0, ...toEnded(emptyTally()) };
}

function activities(spans: Map<string, Tally>[], now: QueueState["models"]): Activity[] {
  const names = new Set([...spans.flatMap((tallies) => [...tallies.keys()]), ...now.map(({ name }) => name)]);
  names.delete("");
  return [...names]
    .map((name) => ({
      ...idle(name),
      ...now.find((one) => one.name === name),
      ...toEnded(merge(spans.flatMap((tallies) => tallies.get(name) ?? []))),
    }))
    .sort((one, other) => weightOf(other) - weightOf(one) || (one.name < other.name ? -1 : 1));
}

function weightOf(one: Activity): number {
  return one.completed + one.failed + one.cancelled + one.pending + one.processing;
}

function toBucket(at: number, span: Span): Bucket {
  return {
    at,
    depth: span.depth,
    total: toEnded(merge([...span.models.values()])),
    models: withDepths(span.models, span.modelDepths),
    agents: withDepths(span.agents, span.agentDepths),
  };
}

function withDepths(
  tallies: Map<string, Tally>,
  depths: Map<string, Depth>,
): Record<string, Ended & { depth?: Depth }> {
  const names = new Set([...tallies.keys(), ...depths.keys()]);
  names.delete("");
  return Object.fromEntries(
    [...names].map((name) => {
      const depth = depths.get(name);
      const ended = toEnded(tallies.get(name) ?? emptyTally());
      return [name, depth === undefined ? ended : { ...ended, depth }];
    }),
  );
}

function emptyTally(): Tally {
  return {
    counts: { completed: 0, failed: 0, cancelled: 0 },
    tokens: 0,
    costUsd: null,
    classes: new Map(),
  };
}

function addGroup(tally: Tally, group: FinishedGroup): void {
  tally.counts[group.status] += group.count;
  tally.tokens += group.tokens;
  if (group.costUsd !== null) tally.costUsd = (tally.costUsd ?? 0) + group.costUsd;
  tally.classes.set(group.latencyClass, (tally.classes.get(group.latencyClass) ?? 0) + group.count);
}

function merge(tallies: readonly Tally[]): Tally {
  const sum = emptyTally();
  for (const tally of tallies) {
    sum.counts.completed += tally.counts.completed;
    sum.counts.failed += tally.counts.failed;
    sum.counts.cancelled += tally.counts.cancelled;
    sum.tokens += tally.tokens;
    if (tally.costUsd !== null) sum.costUsd = (sum.costUsd ?? 0) + tally.costUsd;
    for (const [key, count] of tally.classes) sum.classes.set(key, (sum.classes.get(key) ?? 0) + count);
  }
  return sum;
}

function toEnded(tally: Tally): Ended {
  return {
    ...tally.counts,
    tokens: tally.tokens,
    costUsd: tally.costUsd,
    p50Ms: percentile(tally.classes, 0.5),
    p95Ms: percentile(tally.classes, 0.95),
  };
}

/** The middle (on the logarithmic scale) of the class in which that share of all requests is reached. */
function percentile(classes: Map<number, number>, share: number): number | null {
  const sorted = [...classes].sort(([one], [other]) => one - other);
  let left = share * sorted.reduce((sum, [, count]) => sum + count, 0);
  for (const [key, count] of sorted) {
    left -= count;
    if (left <= 0) return Math.round(LATENCY_BASE ** (key - 0.5) * 10) / 10;
  }
  return null;
}
