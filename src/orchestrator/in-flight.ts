/** The calls this process is making: who they are, how to abort them, and when their deadline does. */
import type { ClaimedRequest } from "../database/queue.ts";
import type { AbortReason } from "./process-request.ts";

/** Timers of Node overflow beyond this; a later deadline is looked at again then. */
const MAX_TIMER_MS = 2 ** 31 - 1;

type Call = { request: ClaimedRequest; controller: AbortController; deadlineTimer: NodeJS.Timeout | null };

export type InFlight = {
  readonly size: number;
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

  function armDeadline(claimId: string): void {
    const call = calls.get(claimId);
    if (call?.request.deadline == null) return;
    const leftMs = call.request.deadline.getTime() - Date.now();
    if (leftMs <= 0) return abort(claimId, "deadline");
    call.deadlineTimer = setTimeout(() => armDeadline(claimId), Math.min(leftMs, MAX_TIMER_MS));
  }

  return {
    get size() {
      return calls.size;
    },
    add(request) {
      const controller = new AbortController();
      calls.set(request.claimId, { request, controller, deadlineTimer: null });
      armDeadline(request.claimId);
      return controller.signal;
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
