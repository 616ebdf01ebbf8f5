/**
 * Waiting for requests to finish, many at once with one query: notifications say when to look, and a poll that
 * slows down from 20 ms to 1 s makes it right without them. Between two looks nothing is held: no
 * connection, no transaction, no snapshot.
 */
import { ClientClosedError, LlmqError, sqlState, WaitTimeoutError } from "./errors.ts";
import type { LlmRequest } from "./types.ts";

export type WaitOptions = {
  /** Gives up after this with a `WaitTimeoutError`; without it the wait has no end. */
  timeoutMs?: number;
  /** Ends the wait, not the request, with the signal's reason. */
  signal?: AbortSignal;
};

export type WaitsDependencies = {
  /** The requests among `ids` that exist; with `finishedOnly` those that are finished. */
  look(ids: string[], finishedOnly: boolean): Promise<LlmRequest[]>;
  /** Whether notifications arrive at the moment. */
  isNotified(): boolean;
  /** Called while requests of this agent are waited for; returns its undoing. */
  watchAgent(agentId: string): () => void;
  /** A look failed; it will be made again. */
  onLookFailed(error: unknown): void;
};

export type Waits = {
  /** `agentId`, when known, says that the request was just submitted: the first look can wait a little. */
  wait(id: string, options: WaitOptions, agentId?: string): Promise<LlmRequest>;
  /** These requests have finished, it is said: look. */
  notified(ids: string[]): void;
  /** Notifications of this agent (null: of all) may have been lost: look. */
  lookAtAll(agentId: string | null): void;
  close(): void;
};

type Caller = { resolve: (request: LlmRequest) => void; reject: (error: unknown) => void };

type Wait = {
  id: string;
  callers: Set<Caller>;
  /** Null until the request is known to exist; an unknown one ends the wait. */
  agentId: string | null;
  /** When to look next, on the clock of `performance.now()`. */
  dueAt: number;
  delayMs: number;
  /** Notified while a look was on its way that may have been too early to see it. */
  again: boolean;
  unwatch: (() => void) | null;
};

const FIRST_DELAY_MS = 20;
const MAX_DELAY_MS = 1000;
/** Looks that are due this soon are made together. */
const TOGETHER_MS = 5;
const MAX_IDS = 1000;
const MAX_TIMER_MS = 2 ** 31 - 1;

export function createWaits(dependencies: WaitsDependencies): Waits {
  const waits = new Map<string, Wait>();
  let timer: NodeJS.Timeout | undefined;
  let timerAt = Number.POSITIVE_INFINITY;
  let looking = false;
  let closed = false;

  /** Makes sure that a look is made by then. One at a time: what becomes due meanwhile is the next. */
  function lookBy(dueAt: number): void {
    if (looking || closed || dueAt >= timerAt) return;
    clearTimeout(timer);
    timerAt = dueAt;
    timer = setTimeout(lookAtDue, Math.max(0, dueAt - performance.now()));
  }

  function schedule(): void {
    let dueAt = Number.POSITIVE_INFINITY;
    for (const wait of waits.values()) dueAt = Math.min(dueAt, wait.dueAt);
    lookBy(dueAt);
  }

  async function lookAtDue(): Promise<void> {
    const horizon = performance.now() + TOGETHER_MS;
    const due: Wait[] = [];
    for (const wait of waits.values()) {
      if (wait.dueAt <= horizon) due.push(wait);
      if (due.length === MAX_IDS) break;
    }
    looking = true;
    timerAt = Number.POSITIVE_INFINITY;
    for (const wait of due) wait.again = false;
    try {
      const ids = due.map((wait) => wait.id);
      const seen = await dependencies.look(
        ids,
        due.every((wait) => wait.agentId !== null),
      );
      take(due, new Map(seen.map((request) => [request.id, request])));
    } catch (error) {
      failed(due, error);
    }
    looking = false;
    schedule();
  }

  function take(due: Wait[], seen: Map<string, LlmRequest>): void {
    for (const wait of due) {
      const request = seen.get(wait.id);
      if (request !== undefined && request.finishedAt !== null) {
        settle(wait, (caller) => caller.resolve(request));
      } else if (request === undefined && wait.agentId === null) {
        settle(wait, (caller) => caller.reject(notFound(wait.id)));
      } else {
        if (request !== undefined) watch(wait, request.agentId);
        postpone(wait);
      }
    }
  }

  function failed(due: Wait[], error: unknown): void {
    // Classes that no second look will mend: a value, a missing table, a missing right.
    if (/^(22|3F|42|LQ)/.test(sqlState(error))) {
      for (const wait of due) settle(wait, (caller) => caller.reject(error));
      return;
    }
    if (!closed) dependencies.onLookFailed(error);
    for (const wait of due) postpone(wait);
  }

  function postpone(wait: Wait): void {
    wait.delayMs = dependencies.isNotified() ? MAX_DELAY_MS : Math.min(wait.delayMs * 2, MAX_DELAY_MS);
    wait.dueAt = wait.again ? 0 : performance.now() + wait.delayMs;
  }

  function watch(wait: Wait, agentId: string): void {
    wait.agentId = agentId;
    if (wait.callers.size > 0) wait.unwatch ??= dependencies.watchAgent(agentId);
  }

  function settle(wait: Wait, tell: (caller: Caller) => void): void {
    if (waits.get(wait.id) === wait) waits.delete(wait.id);
    wait.unwatch?.();
    wait.unwatch = null;
    const callers = [...wait.callers];
    wait.callers.clear();
    for (const caller of callers) tell(caller);
  }

  function waitOn(id: string): Wait {
    const existing = waits.get(id);
    if (existing !== undefined) return existing;
    const wait: Wait = {
      id,
      callers: new Set(),
      agentId: null,
      dueAt: 0,
      delayMs: FIRST_DELAY_MS / 2,
      again: false,
      unwatch: null,
    };
    waits.set(id, wait);
    return wait;
  }

  return {
    wait(id, { timeoutMs, signal }, agentId) {
      return new Promise((resolve, reject) => {
        if (closed) return reject(new ClientClosedError());
        if (signal?.aborted) return reject(signal.reason);
        const wait = waitOn(id);
        const release = () => {
          clearTimeout(timeout);
          signal?.removeEventListener("abort", abort);
        };
        const caller: Caller = {
          resolve: (request) => (release(), resolve(request)),
          reject: (error) => (release(), reject(error)),
        };
        const giveUp = (error: unknown) => {
          wait.callers.delete(caller);
          if (wait.callers.size === 0) settle(wait, () => undefined);
          caller.reject(error);
        };
        const abort = () => giveUp(signal?.reason);
        const timeout =
          timeoutMs === undefined
            ? undefined
            : setTimeout(
                () => giveUp(new WaitTimeoutError(id, timeoutMs)),
                Math.min(timeoutMs, MAX_TIMER_MS),
              );
        signal?.addEventListener("abort", abort, { once: true });
        wait.callers.add(caller);
        if (agentId !== undefined) {
          if (wait.agentId === null) wait.dueAt = performance.now() + FIRST_DELAY_MS;
          watch(wait, agentId);
        }
        lookBy(wait.dueAt);
      });
    },
    notified(ids) {
      let any = false;
      for (const id of ids) {
        const wait = waits.get(id);
        if (wait === undefined) continue;
        wait.dueAt = 0;
        wait.again = true;
        any = true;
      }
      if (any) lookBy(0);
    },
    lookAtAll(agentId) {
      for (const wait of waits.values()) {
        if (agentId !== null && wait.agentId !== agentId) continue;
        wait.dueAt = 0;
        wait.again = true;
      }
      lookBy(0);
    },
    close() {
      closed = true;
      clearTimeout(timer);
      for (const wait of [...waits.values()])
        settle(wait, (caller) => caller.reject(new ClientClosedError()));
    },
  };
}

function notFound(id: string): LlmqError {
  return new LlmqError("LQ002", `request ${id} does not exist`, {
    hint: "It may have been removed by the retention, not be committed yet, or belong to another role.",
  });
}
