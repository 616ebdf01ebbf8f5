/** Runs claimed requests: each is processed, its outcome stored, and its place given to the next. */
import type { Logger } from "pino";
import type { AnswerChecker } from "../answer/answer-checker.ts";
import { createLadderMemory } from "../answer/output-ladder.ts";
import type { ClaimedRequest, QueueDatabase, RuntimeSettings } from "../database/queue.ts";
import type { Providers } from "../providers/registry.ts";
import type { InFlight } from "./in-flight.ts";
import { logOutcome } from "./outcome-log.ts";
import type { OutcomeWriter } from "./outcome-writer.ts";
import { type ProcessResult, processRequest } from "./process-request.ts";
import type { RequestTrace, Tracing } from "./tracing.ts";
import type { OrchestratorObserver } from "./types.ts";

export type Calls = {
  /** Begins to work on these; `idle` tells the end. */
  dispatch(requests: ClaimedRequest[]): void;
  /** How many more requests may be taken: calls, and outcomes that are not stored yet, take a place each. */
  readonly room: number;
  /** Resolves when everything dispatched so far is done and stored, or given up. */
  idle(): Promise<unknown>;
};

export type CallsOptions = {
  database: Pick<QueueDatabase, "noteCalls">;
  providers: Providers;
  checker: AnswerChecker;
  writer: OutcomeWriter;
  inFlight: InFlight;
  /** In flight at once. */
  concurrency: number;
  settings(): RuntimeSettings;
  /** A place became free; `limited`: one of those that a limit allows, over all processes. */
  onRoom(limited: boolean): void;
  observer: OrchestratorObserver | undefined;
  tracing: Tracing;
  logger: Logger;
};

export function createCalls(options: CallsOptions): Calls {
  const { providers, checker, writer, inFlight, concurrency, onRoom, observer, tracing, logger } = options;
  const ladder = createLadderMemory();
  const running = new Set<Promise<void>>();

  async function run(request: ClaimedRequest): Promise<void> {
    const trace = tracing.begin(request);
    const result = await process(request, trace);
    // In one breath: whoever looks in between would find a request that nobody works on.
    inFlight.remove(request.claimId);
    if (result.kind === "dropped") {
      trace.end(result, null);
      tell(() => observer?.dropped?.(request, result));
      logger.info({ requestId: request.id, reason: result.reason }, "call aborted");
      return;
    }
    const applied = await trace.storing(() => writer.write(result));
    trace.end(result, applied);
    tell(() => observer?.finished?.(request, result, applied));
    logOutcome(logger, request, result, applied, trace.traceId);
  }

  function process(request: ClaimedRequest, trace: RequestTrace): Promise<ProcessResult> {
    const signal = inFlight.add(request);
    tell(() => observer?.started?.(request));
    return processRequest(request, signal, {
      providerFor: ({ model }) => trace.traced(providers.for(model)),
      checker,
      ladder,
      settings: options.settings(),
      noteCalls: ({ id, claimId }, made) => options.database.noteCalls(id, claimId, made),
    });
  }

  /** An observer's fault is not the request's. */
  function tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      logger.error({ err: error }, "an observer failed");
    }
  }

  return {
    dispatch(requests) {
      for (const request of requests) {
        const call = run(request)
          .catch((error) => logger.error({ err: error, requestId: request.id }, "request handling failed"))
          .finally(() => {
            inFlight.remove(request.claimId);
            running.delete(call);
            onRoom(request.concurrencyLimited);
          });
        running.add(call);
      }
    },
    get room() {
      return concurrency - inFlight.size - writer.pending;
    },
    async idle() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
