/**
 * Every result of an agent, from the moment of subscribing on: told by notification, and found by a poll when
 * notifications are lost or off. A result is handed to a handler once; after a retry that finishes, again.
 */
import { createHorizon, type Look } from "../database/horizon.ts";
import type { LlmRequest } from "./types.ts";

export type ResultHandler = (request: LlmRequest) => void | Promise<void>;

export type Finished = { id: string; finishedAt: Date };

/** Times in milliseconds on the database's clock. */
export type FinishedLook = Look<number> & { finished: Finished[] };

export type SubscriptionsDependencies = {
  look(ids: string[]): Promise<LlmRequest[]>;
  /** The database's clock, in milliseconds since 1970. */
  clock(): Promise<number>;
  /** These agents' requests that finished since (milliseconds on the database's clock). */
  finishedSince(agentIds: string[], sinceMs: number): Promise<FinishedLook>;
  isNotified(): boolean;
  watchAgent(agentId: string): () => void;
  onLookFailed(error: unknown): void;
  onHandlerFailed(error: unknown, requestId: string): void;
};

export type Subscriptions = {
  subscribe(agentId: string, handler: ResultHandler): () => void;
  /** These requests have finished, it is said. */
  notified(ids: string[]): void;
  /** Notifications may have been lost. */
  lookAtAll(): void;
  close(): void;
};

type Subscription = {
  agentId: string;
  handler: ResultHandler;
  subscribedAt: number;
  /** On the database's clock; null until it was read. */
  startMs: number | null;
  /** What the handler has had: when each finished, and when it was handed over. */
  delivered: Map<string, { finishedMs: number; deliveredAt: number }>;
};

const POLL_MS = 500;
/** Between two polls while notifications arrive. */
const NOTIFIED_POLL_MS = 5000;
/**
 * While a transaction that writes is open anywhere, each poll reads again what finished since it began, but no more
 * than this. A finish whose transaction stays open longer is told by its notification alone.
 */
const LOOK_BACK_MS = 600_000;
/** A notification may come that much later than the poll that found its request. */
const LATE_MS = 60_000;

export function createSubscriptions(dependencies: SubscriptionsDependencies): Subscriptions {
  const subscriptions = new Set<Subscription>();
  let timer: NodeJS.Timeout | undefined;
  const horizon = createHorizon(Number.NEGATIVE_INFINITY);
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let polling = false;
  let pollAgain = false;
  let told = new Set<string>();
  let looking = false;

  /** Notified ids, one query at a time. */
  async function lookAtTold(): Promise<void> {
    if (looking) return;
    looking = true;
    while (told.size > 0 && subscriptions.size > 0) {
      const ids = [...told];
      told = new Set();
      try {
        deliver(await dependencies.look(ids));
      } catch (error) {
        // The poll finds them.
        dependencies.onLookFailed(error);
      }
    }
    looking = false;
  }

  async function poll(): Promise<void> {
    clearTimeout(timer);
    pollAgain = polling;
    if (polling) return;
    polling = true;
    try {
      await pollOnce();
    } catch (error) {
      if (subscriptions.size > 0) dependencies.onLookFailed(error);
    }
    polling = false;
    if (subscriptions.size === 0) return;
    if (pollAgain) return poll();
    timer = setTimeout(poll, dependencies.isNotified() ? NOTIFIED_POLL_MS : POLL_MS);
  }

  async function pollOnce(): Promise<void> {
    if ([...subscriptions].some(({ startMs }) => startMs === null)) startClocks(await dependencies.clock());
    const agentIds = [...new Set([...subscriptions].map((subscription) => subscription.agentId))];
    const starts = [...subscriptions].map(({ startMs }) => startMs ?? Number.POSITIVE_INFINITY);
    const sinceMs = Math.max(Math.min(...starts), horizon.at, lookedAtMs - LOOK_BACK_MS);
    if (!Number.isFinite(sinceMs)) return;
    const look = await dependencies.finishedSince(agentIds, sinceMs);
    const isNew = ({ id, finishedAt }: Finished) =>
      [...subscriptions].some(({ delivered }) => delivered.get(id)?.finishedMs !== finishedAt.getTime());
    const fresh = look.finished.filter(isNew).map(({ id }) => id);
    if (fresh.length > 0) deliver(await dependencies.look(fresh));
    horizon.passed(look);
    lookedAtMs = look.at;
    for (const { delivered } of subscriptions) forget(delivered, horizon.at);
  }

  /** The start is the moment of `subscribe`, even when the clock could be read only later. */
  function startClocks(clockMs: number): void {
    const now = performance.now();
    for (const subscription of subscriptions) {
      if (subscription.startMs !== null) continue;
      subscription.startMs = clockMs - (now - subscription.subscribedAt);
      // What finished before the last poll may be new to a new subscriber.
      horizon.setBack(Math.min(horizon.at, subscription.startMs));
    }
  }

  function deliver(requests: LlmRequest[]): void {
    for (const request of requests) {
      for (const subscription of [...subscriptions]) {
        if (subscription.agentId === request.agentId) hand(request, subscription);
      }
    }
  }

  function hand(request: LlmRequest, subscription: Subscription): void {
    const finishedMs = request.finishedAt?.getTime() ?? 0;
    if (subscription.delivered.get(request.id)?.finishedMs === finishedMs) return;
    // A poll for an older subscription also finds what this one is too young for.
    if (subscription.startMs !== null && finishedMs < Math.floor(subscription.startMs)) return;
    subscription.delivered.set(request.id, { finishedMs, deliveredAt: performance.now() });
    void call(subscription.handler, request);
  }

  /** A handler that throws or rejects hurts nobody else. */
  async function call(handler: ResultHandler, request: LlmRequest): Promise<void> {
    try {
      await handler(request);
    } catch (error) {
      dependencies.onHandlerFailed(error, request.id);
    }
  }

  return {
    subscribe(agentId, handler) {
      const subscription: Subscription = {
        agentId,
        handler,
        subscribedAt: performance.now(),
        startMs: null,
        delivered: new Map(),
      };
      subscriptions.add(subscription);
      const unwatch = dependencies.watchAgent(agentId);
      void poll();
      return () => {
        if (!subscriptions.delete(subscription)) return;
        unwatch();
        if (subscriptions.size === 0) clearTimeout(timer);
      };
    },
    notified(ids) {
      if (subscriptions.size === 0) return;
      for (const id of ids) told.add(id);
      void lookAtTold();
    },
    lookAtAll() {
      if (subscriptions.size > 0) void poll();
    },
    close() {
      subscriptions.clear();
      clearTimeout(timer);
    },
  };
}

function forget(delivered: Subscription["delivered"], beforeMs: number): void {
  const lateAt = performance.now() - LATE_MS;
  for (const [id, { finishedMs, deliveredAt }] of delivered) {
    if (finishedMs < beforeMs && deliveredAt < lateAt) delivered.delete(id);
  }
}
