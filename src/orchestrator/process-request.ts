/**
 * One request, from claim to outcome: ask the model, check the answer, and within the same claim mend what
 * a second question can mend. Knows nothing of the database: what to do about a failure is decided there.
 *
 *   ask -> answer fits                                   -> completed
 *       -> answer does not fit, re-asks left             -> ask again with its errors and its last answer only
 *       -> cut off by max_tokens where JSON was due      -> ask once more with a larger max_tokens
 *       -> the way of asking for JSON was rejected       -> ask with the next mode of the ladder
 *       -> anything else                                 -> failed, with the class of the error
 */

import type { AnswerVerdict, Repair } from "../answer/answer.ts";
import { checkAnswer } from "../answer/check-answer.ts";
import { type LadderMemory, outputFormatFor, withSchemaInPrompt } from "../answer/output-ladder.ts";
import { reaskMessages } from "../answer/reask.ts";
import { type SchemaValidator, schemaHash } from "../answer/schema-validator.ts";
import type {
  ClaimedRequest,
  FailedOutcome,
  LedgerCall,
  RequestOutcome,
  RuntimeSettings,
} from "../database/queue.ts";
import type {
  ChatMessage,
  ChatSettings,
  OutputFormat,
  Provider,
  ProviderOutcome,
  ProviderRequest,
} from "../providers/provider.ts";

export type ProcessDependencies = {
  providerFor: (request: ClaimedRequest) => Provider;
  validator: SchemaValidator;
  ladder: LadderMemory;
  settings: RuntimeSettings;
};

/** Why a call was aborted; the reason of the request's AbortSignal. */
export type AbortReason = "cancelled" | "deadline" | "shutdown" | "lost";

export type ProcessResult =
  | RequestOutcome
  /** Cancelled, lost or shut down: there is nothing to report, or no right to. */
  | { kind: "dropped"; reason: AbortReason };

type Answer = Extract<ProviderOutcome, { kind: "answer" }>;

type Turn = {
  messages: ChatMessage[];
  settings: ChatSettings;
  output: OutputFormat;
  calls: LedgerCall[];
  repairs: Repair[];
  reasks: number;
  enlarged: boolean;
};

export async function processRequest(
  request: ClaimedRequest,
  signal: AbortSignal,
  dependencies: ProcessDependencies,
): Promise<ProcessResult> {
  const provider = dependencies.providerFor(request);
  const turn: Turn = {
    messages: request.messages,
    settings: request.settings,
    output: outputFormatFor({
      responseSchema: request.responseSchema,
      tools: request.tools,
      settings: request.settings,
      model: request.model,
      memory: dependencies.ladder,
    }),
    calls: [],
    repairs: [],
    reasks: 0,
    enlarged: false,
  };

  while (true) {
    const outcome = await provider.call(providerRequest(request, turn, signal, dependencies.settings));
    if (signal.aborted) return aborted(request, turn, outcome, signal.reason as AbortReason);
    const next =
      outcome.kind === "error"
        ? afterError(request, turn, outcome, dependencies)
        : afterAnswer(request, turn, outcome, dependencies);
    if (next !== "again") return next;
  }
}

function providerRequest(
  request: ClaimedRequest,
  turn: Turn,
  signal: AbortSignal,
  settings: RuntimeSettings,
): ProviderRequest {
  const needsPrompt =
    turn.output.kind === "json" && (turn.output.mode === "prompt" || turn.output.mode === "json");
  return {
    requestId: request.id,
    model: request.model,
    messages:
      needsPrompt && turn.output.kind === "json"
        ? withSchemaInPrompt(turn.messages, turn.output.schema)
        : turn.messages,
    tools: request.tools,
    settings: turn.settings,
    output: turn.output,
    signal,
    timeouts: {
      connectMs: settings.connectTimeoutMs,
      firstByteMs: settings.firstByteTimeoutMs,
      totalMs: turn.settings.timeout === undefined ? settings.callTimeoutMs : turn.settings.timeout * 1000,
    },
  };
}

function afterError(
  request: ClaimedRequest,
  turn: Turn,
  outcome: Extract<ProviderOutcome, { kind: "error" }>,
  { ladder }: ProcessDependencies,
): "again" | FailedOutcome {
  record(turn, outcome.errorClass, outcome, outcome.message);
  if (outcome.errorClass === "mode" && turn.output.kind === "json") {
    const mode = ladder.nextMode(request.model, schemaHash(turn.output.schema) ?? "", turn.output.mode);
    if (mode !== null) {
      turn.output = { ...turn.output, mode };
      return "again";
    }
  }
  return {
    ...failed(request, turn),
    errorClass:
      outcome.errorClass === "mode" || outcome.errorClass === "aborted" ? "bad_request" : outcome.errorClass,
    errorMessage: outcome.message,
    retryAfterMs: outcome.retryAfterMs,
  };
}

function afterAnswer(
  request: ClaimedRequest,
  turn: Turn,
  answer: Answer,
  { validator, settings }: ProcessDependencies,
): "again" | RequestOutcome {
  const verdict = checkAnswer({
    text: answer.text,
    toolCalls: answer.toolCalls,
    responseSchema: request.responseSchema,
    toolsOffered: request.tools,
    validator,
  });
  if (verdict.kind !== "invalid") {
    record(turn, "answered", answer, null);
    return completed(request, turn, answer, verdict);
  }
  if (answer.finishReason === "length") {
    return afterTruncation(request, turn, answer, verdict);
  }
  record(turn, "invalid", answer, verdict.errorMessage);
  if (turn.reasks < (turn.settings.validation_retries ?? settings.validationRetries)) {
    turn.reasks += 1;
    if (!turn.repairs.includes("reasked")) turn.repairs.push("reasked");
    turn.messages = reaskMessages({
      messages: request.messages,
      lastAnswer: verdict.response,
      validationErrors: verdict.validationErrors,
    });
    return "again";
  }
  return {
    ...failed(request, turn),
    errorClass: "invalid",
    errorMessage: verdict.errorMessage,
    retryAfterMs: null,
    response: verdict.response,
    ...(verdict.parsedResponse === undefined ? {} : { parsedResponse: verdict.parsedResponse }),
    validationErrors: verdict.validationErrors,
    repairs: [...turn.repairs, ...verdict.repairs],
  };
}

/** Twice the tokens, once, as far as the model goes: the answer was cut, not wrong. */
function afterTruncation(
  request: ClaimedRequest,
  turn: Turn,
  answer: Answer,
  verdict: Extract<AnswerVerdict, { kind: "invalid" }>,
): "again" | RequestOutcome {
  const used = turn.settings.max_tokens ?? answer.facts.usage?.outputTokens ?? 1024;
  const larger = Math.min(used * 2, request.model.maxOutputTokens ?? Number.POSITIVE_INFINITY);
  record(turn, "truncated", answer, "The answer was cut off by the token limit");
  if (!turn.enlarged && larger > used) {
    turn.enlarged = true;
    turn.repairs.push("larger_max_tokens");
    turn.settings = { ...turn.settings, max_tokens: larger };
    return "again";
  }
  return {
    ...failed(request, turn),
    errorClass: "truncated",
    errorMessage: `The answer was cut off after ${used} tokens, before its JSON was complete`,
    retryAfterMs: null,
    response: verdict.response,
    validationErrors: verdict.validationErrors,
  };
}

function aborted(
  request: ClaimedRequest,
  turn: Turn,
  outcome: ProviderOutcome,
  reason: AbortReason,
): ProcessResult {
  if (reason !== "deadline") return { kind: "dropped", reason };
  record(turn, "deadline", outcome, "aborted at the deadline");
  return {
    ...failed(request, turn),
    errorClass: "deadline",
    errorMessage: "The deadline passed during the call",
    retryAfterMs: null,
  };
}

function completed(
  request: ClaimedRequest,
  turn: Turn,
  answer: Answer,
  verdict: Exclude<AnswerVerdict, { kind: "invalid" }>,
): RequestOutcome {
  return {
    kind: "completed",
    requestId: request.id,
    claimId: request.claimId,
    response: verdict.response,
    ...(verdict.kind === "parsed" ? { parsedResponse: verdict.parsedResponse } : {}),
    repairs: verdict.kind === "parsed" ? [...turn.repairs, ...verdict.repairs] : turn.repairs,
    finishReason: answer.finishReason,
    reasks: turn.reasks,
    calls: turn.calls,
  };
}

function failed(request: ClaimedRequest, turn: Turn) {
  return {
    kind: "failed" as const,
    requestId: request.id,
    claimId: request.claimId,
    repairs: turn.repairs,
    reasks: turn.reasks,
    calls: turn.calls,
  };
}

function record(
  turn: Turn,
  outcome: LedgerCall["outcome"],
  call: ProviderOutcome,
  errorMessage: string | null,
): void {
  turn.calls.push({
    outcome,
    facts: call.facts,
    finishReason: call.kind === "answer" ? call.finishReason : null,
    outputMode: turn.output.kind === "json" ? turn.output.mode : null,
    errorMessage,
  });
}
