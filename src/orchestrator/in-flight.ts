/** The calls this process is making: who they are, how to abort them, and when their deadline does. */
import type { ClaimedRequest } from "../database/queue.ts";
import type { AbortReason } from "./process-request.ts";

/** Timers of Node overflow beyond this; a later deadline is looked at again then. */
const MAX_TIMER_MS = 2 ** 31 - 1;

type Call = { controller: AbortController; deadlineTimer: NodeJS.Timeout | null };

export type InFlight = {
  readonly size: number;
  claimIds(): string[];
  /** Registers a call; its signal aborts with an `AbortReason`. */
  add(request: ClaimedRequest): AbortSignal;
  remove(claimId: string): void;
  abort(claimId: string, reason: AbortReason): void;
  abortAll(reason: AbortReason): void;
};

export function createInFlight(): InFlight {
  const calls = new Map<string, Call>();

  function abort(claimId: string, reason: AbortReason): void {
    calls.get(claimId)?.controller.abort(reason);
  }

  /** `endsAt` is on the clock of `performance.now()`. */
  function armDeadline(claimId: string, call: Call, endsAt: number): void {
    const leftMs = endsAt - performance.now();
    if (leftMs <= 0) return abort(claimId, "deadline");
    call.deadlineTimer = setTimeout(
      () => armDeadline(claimId, call, endsAt),
      Math.min(Math.ceil(leftMs), MAX_TIMER_MS),
    );
  }

  return {
    get size() {
      return calls.size;
    },
    claimIds: () => [...calls.keys()],
    add({ claimId, deadline, startedAt }) {
      const call: Call = { controller: new AbortController(), deadlineTimer: null };
      calls.set(claimId, call);
      // Both times are the database's: the clock of this machine may be wrong, or jump.
      if (deadline !== null) {
        armDeadline(claimId, call, performance.now() + deadline.getTime() - startedAt.getTime());
      }
      return call.controller.signal;
    },
    remove(claimId) {
      const call = calls.get(claimId);
      if (call?.deadlineTimer) clearTimeout(call.deadlineTimer);
      calls.delete(claimId);
    },
    abort,
    abortAll(reason) {
      for (const claimId of calls.keys()) abort(claimId, reason);
    },
  };
}
