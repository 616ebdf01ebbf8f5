/**
 * One request, from claim to outcome: ask the model, check the answer, and within the same claim mend what
 * a second question can mend. Knows nothing of the database: what to do about a failure is decided there.
 *
 *   a schema that no answer can be checked against       -> failed, before a call is paid for
 *   ask -> answer fits                                   -> completed
 *       -> answer does not fit, re-asks left             -> ask again with its errors and its last answer only
 *       -> cut off by max_tokens where JSON was due      -> ask once more with a larger max_tokens
 *       -> the way of asking for JSON was rejected       -> ask with the next mode of the ladder
 *       -> anything else                                 -> failed, with the class of the error
 */
import type { AnswerVerdict } from "../answer/answer.ts";
import type { AnswerChecker } from "../answer/answer-checker.ts";
import type { LadderMemory } from "../answer/output-ladder.ts";
import { isWorthReasking, reaskMessages } from "../answer/reask.ts";
import { schemaHash } from "../answer/schema-validator.ts";
import type {
  ClaimedRequest,
  FailedOutcome,
  LedgerCall,
  RequestOutcome,
  RuntimeSettings,
} from "../database/queue.ts";
import type { Provider, ProviderOutcome } from "../providers/provider.ts";
import {
  beginTurn,
  completedOutcome,
  failedOutcome,
  type InvalidVerdict,
  questionOf,
  recordCall,
  type Turn,
} from "./turn.ts";

export type ProcessDependencies = {
  providerFor: (request: ClaimedRequest) => Provider;
  checker: AnswerChecker;
  ladder: LadderMemory;
  settings: RuntimeSettings;
  /** Writes calls into the ledger while the claim goes on; false when it is held no more. */
  noteCalls: (request: ClaimedRequest, calls: LedgerCall[]) => Promise<boolean>;
};

/** Why a call was aborted; the reason of the request's AbortSignal. */
export type AbortReason = "cancelled" | "deadline" | "shutdown" | "lost";

/** `calls`: those that ended before; the aborted one is in the ledger by whoever ended the claim. */
export type DroppedRequest = { kind: "dropped"; reason: AbortReason; calls: LedgerCall[] };

export type ProcessResult =
  | RequestOutcome
  /** Cancelled, lost or shut down: there is nothing to report, or no right to. */
  | DroppedRequest;

type Answer = Extract<ProviderOutcome, { kind: "answer" }>;
type ProviderError = Extract<ProviderOutcome, { kind: "error" }>;

/** A fault of ours, or of a provider's code, becomes a failure of class `exception`. */
export async function processRequest(
  request: ClaimedRequest,
  signal: AbortSignal,
  dependencies: ProcessDependencies,
): Promise<ProcessResult> {
  const turn = beginTurn(request, dependencies.ladder);
  let askedAt = new Date();
  /** Runs beside the next call; its answer is waited for before the outcome says what is left to be written. */
  let noting = Promise.resolve();
  try {
    const fault = await dependencies.checker.faultOf(schemasOf(request));
    if (fault !== null) {
      const message = `${fault.field} cannot be used: ${fault.message}`;
      return failedOutcome(turn, { errorClass: "bad_request", message });
    }
    const provider = dependencies.providerFor(request);
    while (true) {
      askedAt = new Date();
      const outcome = await provider.call(questionOf(turn, signal, dependencies.settings));
      await noting;
      const next = signal.aborted
        ? await afterAbort(turn, outcome, signal.reason as AbortReason, dependencies)
        : await afterCall(turn, outcome, dependencies);
      if (next !== "again") return next;
      noting = noteCalls(turn, dependencies);
    }
  } catch (error) {
    await noting;
    return afterException(turn, error, askedAt);
  }
}

/** Never rejects: what could not be noted is written with the outcome. */
async function noteCalls(turn: Turn, dependencies: ProcessDependencies): Promise<void> {
  const calls = turn.calls.slice(turn.notedCalls);
  const noted = await dependencies.noteCalls(turn.request, calls).catch(() => false);
  if (noted) turn.notedCalls += calls.length;
}

async function afterCall(
  turn: Turn,
  outcome: ProviderOutcome,
  dependencies: ProcessDependencies,
): Promise<"again" | RequestOutcome> {
  return outcome.kind === "error"
    ? afterError(turn, outcome, dependencies.ladder)
    : afterAnswer(turn, outcome, dependencies);
}

function afterError(turn: Turn, error: ProviderError, ladder: LadderMemory): "again" | FailedOutcome {
  const { errorClass, message, retryAfterMs } = error;
  recordCall(turn, errorClass, error, message);
  if (errorClass === "mode" && turn.output.kind === "json") {
    const { mode: rejected, schema } = turn.output;
    const mode = ladder.nextMode(turn.request.model, schemaHash(schema) ?? "", rejected);
    if (mode !== null) {
      turn.output = { ...turn.output, mode };
      return "again";
    }
  }
  // The model does not take that many tokens: what counts is the answer that was cut off.
  if (errorClass === "bad_request" && turn.cutOff !== null) {
    return { ...turn.cutOff, calls: turn.calls, notedCalls: turn.notedCalls };
  }
  if (errorClass === "mode") return failedOutcome(turn, { errorClass: "bad_request", message });
  // Nobody here aborted it.
  if (errorClass === "aborted") return failedOutcome(turn, { errorClass: "exception", message });
  return failedOutcome(turn, { errorClass, message, retryAfterMs });
}

async function afterAnswer(
  turn: Turn,
  answer: Answer,
  { checker, settings }: ProcessDependencies,
): Promise<"again" | RequestOutcome> {
  const { request } = turn;
  const { text, toolCalls } = answer;
  const verdict = await checker.check({ text, toolCalls, ...schemasOf(request) });
  if (answer.finishReason === "length" && isCutOff(verdict)) return afterTruncation(turn, answer, verdict);
  if (verdict.kind !== "invalid") {
    recordCall(turn, "answered", answer, null);
    return completedOutcome(turn, answer.finishReason, verdict);
  }
  recordCall(turn, "invalid", answer, verdict.errorMessage);
  const allowed = turn.settings.validation_retries ?? settings.validationRetries;
  if (turn.reasks < allowed && isWorthReasking(verdict.validationErrors)) {
    turn.reasks += 1;
    if (!turn.repairs.includes("reasked")) turn.repairs.push("reasked");
    turn.messages = reaskMessages({
      messages: request.messages,
      lastAnswer: saidIn(answer, verdict),
      validationErrors: verdict.validationErrors,
    });
    return "again";
  }
  return failedOutcome(turn, { errorClass: "invalid", message: verdict.errorMessage }, verdict);
}

/** Repaired JSON counts too: what closes it did not come from the model. */
function isCutOff(verdict: AnswerVerdict): boolean {
  return (
    verdict.kind === "invalid" || (verdict.kind === "parsed" && verdict.repairs.includes("repaired_json"))
  );
}

/** Tool calls that came natively are shown to the model as JSON. */
function saidIn(answer: Answer, verdict: InvalidVerdict): string {
  return answer.toolCalls.length > 0 ? JSON.stringify(verdict.parsedResponse) : verdict.response;
}

/** Twice the tokens, once, as far as the model goes: the answer was cut, not wrong. */
function afterTruncation(turn: Turn, answer: Answer, verdict: AnswerVerdict): "again" | RequestOutcome {
  const told = answer.facts.usage?.outputTokens ?? 0;
  const used = turn.settings.max_tokens ?? (told > 0 ? told : 1024);
  const larger = Math.min(used * 2, turn.request.model.maxOutputTokens ?? Number.POSITIVE_INFINITY);
  recordCall(turn, "truncated", answer, "The answer was cut off by the token limit");
  const message = `The answer was cut off after ${used} tokens, before its JSON was complete`;
  const failed = failedOutcome(turn, { errorClass: "truncated", message }, verdict);
  if (turn.cutOff !== null || larger <= used) return failed;
  turn.cutOff = failed;
  turn.repairs.push("larger_max_tokens");
  turn.settings = { ...turn.settings, max_tokens: larger };
  return "again";
}

async function afterAbort(
  turn: Turn,
  outcome: ProviderOutcome,
  reason: AbortReason,
  dependencies: ProcessDependencies,
): Promise<ProcessResult> {
  if (reason === "deadline") {
    recordCall(turn, "deadline", outcome, "aborted at the deadline");
    return failedOutcome(turn, { errorClass: "deadline", message: "The deadline passed during the call" });
  }
  // The answer won the race against the shutdown: it is paid for.
  if (reason === "shutdown" && outcome.kind === "answer") {
    const result = await afterAnswer(turn, outcome, dependencies);
    if (result !== "again") return result;
    await noteCalls(turn, dependencies);
  }
  return { kind: "dropped", reason, calls: turn.calls };
}

function schemasOf({ responseSchema, tools }: ClaimedRequest) {
  return { responseSchema, toolsOffered: tools };
}

function afterException(turn: Turn, error: unknown, startedAt: Date): FailedOutcome {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const facts = {
    startedAt,
    latencyMs: Math.max(Date.now() - startedAt.getTime(), 0),
    firstByteMs: null,
    statusCode: null,
    providerRequestId: null,
    usage: null,
  };
  recordCall(turn, "exception", { facts }, message);
  return failedOutcome(turn, { errorClass: "exception", message });
}
