/**
 * One reader for all viewers: while at least one page is open it looks at the database every second, sooner when
 * something happened, and never more than a tenth of the time. Nobody looks: nothing is read.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { type QueueState, readQueueState } from "../../database/dashboard/depth.ts";
import { BUCKET_SECONDS, readFinished, readFinishedWithin } from "../../database/dashboard/finished.ts";
import type { Read } from "../../database/reads.ts";
import { createWake } from "../../orchestrator/wake.ts";
import type { ApiFailure, Overview } from "./api-types.ts";
import { describeFailure } from "./failure.ts";
import { bucketOf, createHistory, HISTORY_SECONDS, sumDepths } from "./history.ts";

const EVERY_MS = 1_000;
/** Between two looks, whatever happens meanwhile. */
const AT_LEAST_MS = 250;
/** The pause is so many times as long as the look was. */
const REST = 9;
/** After a longer pause the history is read anew, as far back as that takes no longer than a read may. */
const LONG_GAP_SECONDS = 60;

export type LiveEvent =
  /** The whole history; first for every viewer. */
  | { kind: "overview"; data: Overview }
  /** What changed. */
  | { kind: "tick"; data: Overview }
  | { kind: "trouble"; data: ApiFailure };

export type Viewer = (event: LiveEvent) => void;

export type Live = {
  /** The viewer is called until the returned function is. */
  join(viewer: Viewer): () => void;
  /** Something happened: look soon. */
  nudge(): void;
  /** The last state; looks when nobody has within a second. */
  current(): Promise<Overview>;
  stop(): Promise<void>;
};

export function createLive({ read, logger }: { read: Read; logger: Pick<Logger, "warn"> }): Live {
  const history = createHistory();
  const viewers = new Set<Viewer>();
  const wake = createWake();
  const stopping = new AbortController();
  let last: { state: QueueState; since: number; lookedAt: number } | null = null;
  let looking: Promise<void> | null = null;
  let running: Promise<void> | null = null;

  /** One look at a time, whoever asks for it. */
  function look(): Promise<void> {
    looking ??= lookNow().finally(() => {
      looking = null;
    });
    return looking;
  }

  async function lookNow(): Promise<void> {
    const state = await readQueueState(read);
    const floor = bucketOf(state.now - HISTORY_SECONDS);
    let since = last?.since ?? floor;
    // The bucket of the last look and the one before it: what commits late is in there.
    const from = last === null ? floor : bucketOf(last.state.now) - BUCKET_SECONDS;
    if (last === null || state.now - from > LONG_GAP_SECONDS) {
      const seed = await readFinishedWithin(read, state.now, HISTORY_SECONDS);
      since = seed.since;
      history.replace(since, seed.groups);
    } else {
      history.replace(from, await readFinished(read, from));
    }
    since = Math.max(since, floor);
    history.forgetBefore(since);
    history.see(state);
    last = { state, since, lookedAt: performance.now() };
  }

  function overview(changedSince: number): Overview {
    if (last === null) throw new Error("nobody has looked yet");
    const { state, since } = last;
    return {
      at: state.at,
      bucketSeconds: BUCKET_SECONDS,
      since,
      buckets: history.buckets(changedSince),
      depth: { ...sumDepths(state.models), oldestPendingAt: state.oldestPendingAt },
      total: history.total(),
      models: history.models(state.models).slice(0, 100),
      agents: history.agents(state.agents).slice(0, 100),
      workers: state.workers,
    };
  }

  async function run(): Promise<void> {
    let failing = false;
    while (viewers.size > 0 && !stopping.signal.aborted) {
      wake.clear();
      const startedAt = performance.now();
      const from = last === null ? 0 : bucketOf(last.state.now) - BUCKET_SECONDS;
      try {
        await look();
        failing = false;
        const data = overview(from);
        tell({ kind: "tick", data });
      } catch (error) {
        if (stopping.signal.aborted) break;
        if (!failing) logger.warn({ err: error }, "the dashboard cannot read the database");
        failing = true;
        tell(troubleOf(error));
      }
      const pause = Math.max(AT_LEAST_MS, REST * (performance.now() - startedAt));
      await sleep(pause, undefined, { signal: stopping.signal }).catch(() => undefined);
      await wake.wait(Math.max(EVERY_MS - pause, 0), stopping.signal);
    }
    running = null;
  }

  function tell(event: LiveEvent): void {
    for (const viewer of viewers) viewer(event);
  }

  async function current(): Promise<Overview> {
    const isKeptFresh = running !== null && viewers.size > 0;
    if (last === null || (!isKeptFresh && performance.now() - last.lookedAt > EVERY_MS)) await look();
    return overview(0);
  }

  return {
    current,
    nudge: () => wake.set(),
    join(viewer) {
      let gone = false;
      const join = (event: LiveEvent) => {
        if (!gone) viewer(event);
      };
      current()
        .then((data) => join({ kind: "overview", data }))
        .catch((error: unknown) => join(troubleOf(error)))
        .then(() => {
          if (gone || stopping.signal.aborted) return;
          viewers.add(join);
          running ??= run();
        });
      return () => {
        gone = true;
        viewers.delete(join);
      };
    },
    async stop() {
      stopping.abort();
      viewers.clear();
      await running;
    },
  };
}

function troubleOf(error: unknown): LiveEvent {
  const data = describeFailure(error)?.body ?? {
    error: error instanceof Error ? error.message : String(error),
  };
  return { kind: "trouble", data };
}
