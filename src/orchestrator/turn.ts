/** One request between claim and outcome: what is asked next, and what the ledger will say. */
import type { AnswerVerdict, Repair } from "../answer/answer.ts";
import { type LadderMemory, outputFormatFor, withSchemaInPrompt } from "../answer/output-ladder.ts";
import { toStorableText } from "../answer/storable.ts";
import type {
  ClaimedRequest,
  CompletedOutcome,
  FailedOutcome,
  LedgerCall,
  RuntimeSettings,
} from "../database/queue.ts";
import type {
  CallFacts,
  ChatMessage,
  ChatSettings,
  FinishReason,
  OutputFormat,
  ProviderRequest,
  TokenUsage,
} from "../providers/provider.ts";

export type Turn = {
  request: ClaimedRequest;
  /** How far this machine's clock is ahead of the database's, whose times the ledger has. */
  clockAheadMs: number;
  messages: ChatMessage[];
  settings: ChatSettings;
  output: OutputFormat;
  calls: LedgerCall[];
  /** So many of the first are in the ledger already. */
  notedCalls: number;
  repairs: Repair[];
  reasks: number;
  /** The answer that was cut off, once it was asked for again with more tokens. */
  cutOff: FailedOutcome | null;
};

export type InvalidVerdict = Extract<AnswerVerdict, { kind: "invalid" }>;
export type ValidVerdict = Exclude<AnswerVerdict, InvalidVerdict>;

/** A Postgres integer. */
const MAX_INTEGER = 2 ** 31 - 1;

export function beginTurn(request: ClaimedRequest, memory: LadderMemory): Turn {
  const { messages, settings, responseSchema, tools, model } = request;
  return {
    request,
    clockAheadMs: Date.now() - request.startedAt.getTime(),
    messages,
    settings,
    output: outputFormatFor({ responseSchema, tools, settings, model, memory }),
    calls: [],
    notedCalls: 0,
    repairs: [],
    reasks: 0,
    cutOff: null,
  };
}

/** What the provider is asked now. */
export function questionOf(turn: Turn, signal: AbortSignal, defaults: RuntimeSettings): ProviderRequest {
  const { request, settings, output, messages } = turn;
  const inPrompt = output.kind === "json" && (output.mode === "prompt" || output.mode === "json");
  return {
    requestId: request.id,
    model: request.model,
    messages: inPrompt ? withSchemaInPrompt(messages, output.schema) : messages,
    tools: request.tools,
    settings,
    output,
    signal,
    timeouts: {
      connectMs: defaults.connectTimeoutMs,
      firstByteMs: defaults.firstByteTimeoutMs,
      totalMs: settings.timeout === undefined ? defaults.callTimeoutMs : settings.timeout * 1000,
    },
  };
}

/** Notes a call for the ledger. Whatever the provider sent is brought into what Postgres can hold. */
export function recordCall(
  turn: Turn,
  outcome: LedgerCall["outcome"],
  call: { facts: CallFacts; finishReason?: FinishReason },
  errorMessage: string | null,
): void {
  const { facts } = call;
  turn.calls.push({
    outcome,
    facts: {
      ...facts,
      startedAt: new Date(facts.startedAt.getTime() - turn.clockAheadMs),
      providerRequestId: facts.providerRequestId === null ? null : toStorableText(facts.providerRequestId),
      usage: facts.usage === null ? null : storableUsage(facts.usage),
    },
    finishReason: call.finishReason ?? null,
    outputMode: turn.output.kind === "json" ? turn.output.mode : null,
    errorMessage: errorMessage === null ? null : toStorableText(errorMessage),
  });
}

export function completedOutcome(
  turn: Turn,
  finishReason: FinishReason,
  verdict: ValidVerdict,
): CompletedOutcome {
  const parsed = verdict.kind === "parsed";
  return {
    kind: "completed",
    ...idsAndCalls(turn),
    response: verdict.response,
    ...(parsed && { parsedResponse: verdict.parsedResponse }),
    repairs: parsed ? [...turn.repairs, ...verdict.repairs] : turn.repairs,
    finishReason,
  };
}

export function failedOutcome(
  turn: Turn,
  error: { errorClass: FailedOutcome["errorClass"]; message: string; retryAfterMs?: number | null },
  best?: AnswerVerdict,
): FailedOutcome {
  return {
    kind: "failed",
    ...idsAndCalls(turn),
    errorClass: error.errorClass,
    errorMessage: toStorableText(error.message),
    retryAfterMs: error.retryAfterMs ?? null,
    repairs: turn.repairs,
    ...(best && bestAnswer(turn, best)),
  };
}

function idsAndCalls({ request, reasks, calls, notedCalls }: Turn) {
  return { requestId: request.id, claimId: request.claimId, reasks, calls, notedCalls };
}

/** Kept with the failure: a person may still use it. */
function bestAnswer(turn: Turn, verdict: AnswerVerdict) {
  if (verdict.kind === "text") return { response: verdict.response };
  return {
    response: verdict.response,
    parsedResponse: verdict.parsedResponse,
    ...(verdict.kind === "invalid" && { validationErrors: verdict.validationErrors }),
    repairs: [...turn.repairs, ...verdict.repairs],
  };
}

function storableUsage(usage: TokenUsage): TokenUsage {
  const count = (tokens: number) =>
    Number.isFinite(tokens) ? Math.min(Math.max(Math.round(tokens), 0), MAX_INTEGER) : 0;
  return {
    inputTokens: count(usage.inputTokens),
    outputTokens: count(usage.outputTokens),
    cachedInputTokens: count(usage.cachedInputTokens),
    reasoningTokens: count(usage.reasoningTokens),
  };
}
