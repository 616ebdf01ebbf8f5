/** One line per outcome: who, what became of it, and what it took. Never prompts, answers or keys. */
import type { Logger } from "pino";
import { errorTypeOf } from "../database/error-type.ts";
import type {
  AppliedOutcome,
  ClaimedRequest,
  FailedOutcome,
  LedgerCall,
  RequestOutcome,
} from "../database/queue.ts";

/** Classes that somebody has to do something about. */
const LOUD: ReadonlySet<FailedOutcome["errorClass"]> = new Set([
  "configuration",
  "out_of_quota",
  "exception",
]);

/** Classes that are about the prompt or the answer: their messages may quote it. `llmq explain` shows them. */
const QUOTING: ReadonlySet<FailedOutcome["errorClass"]> = new Set([
  "bad_request",
  "invalid",
  "refused",
  "too_long",
  "truncated",
]);

export function logOutcome(
  logger: Logger,
  request: ClaimedRequest,
  outcome: RequestOutcome,
  applied: AppliedOutcome | null,
  traceId: string | null,
): void {
  const fields = {
    requestId: request.id,
    agentId: request.agentId,
    taskType: request.taskType,
    model: request.model.name,
    status: applied?.status ?? undefined,
    // Failures so far, and this one.
    attempt: request.attempts + 1,
    ...spent(outcome.calls),
    traceId: traceId ?? undefined,
  };
  if (applied === null) {
    logger.error(fields, "outcome not stored, the request will run again");
  } else if (!applied.applied) {
    logger.info(fields, "outcome came too late, the claim was lost");
  } else if (outcome.kind === "completed") {
    logger.info(fields, "request completed");
  } else {
    const level = LOUD.has(outcome.errorClass) ? "error" : "warn";
    const message = applied.status === "pending" ? "request will be tried again" : "request failed";
    logger[level]({ ...fields, ...failure(outcome, applied) }, message);
  }
}

/** `latencyMs` is the time at the provider, over all calls of this claim. */
function spent(calls: LedgerCall[]) {
  const sum = (of: (call: LedgerCall) => number) => calls.reduce((total, call) => total + of(call), 0);
  const hasUsage = calls.some((call) => call.facts.usage !== null);
  return {
    calls: calls.length,
    latencyMs: Math.round(sum((call) => call.facts.latencyMs)),
    ...(hasUsage && {
      inputTokens: sum((call) => call.facts.usage?.inputTokens ?? 0),
      outputTokens: sum((call) => call.facts.usage?.outputTokens ?? 0),
    }),
  };
}

function failure({ errorClass, errorMessage }: FailedOutcome, { runAt }: AppliedOutcome) {
  return {
    errorType: errorTypeOf(errorClass),
    errorClass,
    ...(!QUOTING.has(errorClass) && { errorMessage }),
    ...(runAt !== null && { runAt }),
  };
}
