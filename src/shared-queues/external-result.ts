/**
 * What a message of the queue `llm_results` means: `{"request_id", "response"}` or `{"request_id", "error",
 * "error_type"}`, sent by a worker outside of llmq. Its answer goes through the same check as a model's.
 */

import type { AnswerVerdict } from "../answer/answer.ts";
import type { AnswerChecker } from "../answer/answer-checker.ts";
import type { ChatTool } from "../providers/provider.ts";

export type ExternalResult = {
  messageId: string;
  /** How often the message was read, this time included. */
  readCount: number;
  message: unknown;
  /** Null when no unfinished request has the id that the message names. */
  requestId: string | null;
  responseSchema: unknown;
  tools: ChatTool[] | null;
};

/** What becomes of the message's request; `set_aside` when it has none, or says nothing. */
export type Settlement =
  | { kind: "completed"; response: string; parsedResponse: unknown; repairs: string[] }
  | {
      kind: "failed";
      errorType: string;
      errorMessage: string;
      /** `llmq.attempts.outcome`. */
      callOutcome: string;
      response: string | null;
      verdict: Extract<AnswerVerdict, { kind: "invalid" }> | null;
    }
  | { kind: "set_aside"; reason: string };

/** Each `error_type` a worker may name, and the outcome of its call in the ledger. */
const ERROR_TYPES = new Map([
  ["provider_unavailable", "transient"],
  ["malformed_response", "invalid"],
  ["deadline_exceeded", "deadline"],
  ["exception", "exception"],
  ["refused", "refused"],
  ["truncated", "truncated"],
  ["too_long", "too_long"],
  ["bad_request", "bad_request"],
]);

export async function readExternalResult(
  result: ExternalResult,
  checker: AnswerChecker,
): Promise<Settlement> {
  const { message } = result;
  if (!isObject(message)) return setAside("the message is not a JSON object");
  if (result.requestId === null) return setAside(whyUnknown(message.request_id));
  // The database hands over as text what came as JSON.
  const response = typeof message.response === "string" ? message.response : null;
  const error = errorTextOf(message.error);
  if (error !== null) return failedByWorker(message, error, response);
  if (response === null) return setAside("the message has neither response nor error");
  return await checked(result, response, checker);
}

async function checked(result: ExternalResult, text: string, checker: AnswerChecker): Promise<Settlement> {
  const verdict = await checker.check({
    text,
    toolCalls: [],
    responseSchema: result.responseSchema,
    toolsOffered: result.tools ?? [],
  });
  switch (verdict.kind) {
    case "text":
      return { kind: "completed", response: verdict.response, parsedResponse: null, repairs: [] };
    case "parsed": {
      const { response, parsedResponse, repairs } = verdict;
      return { kind: "completed", response, parsedResponse, repairs };
    }
    case "invalid":
      return {
        kind: "failed",
        errorType: "malformed_response",
        errorMessage: verdict.errorMessage,
        callOutcome: "invalid",
        response: verdict.response,
        verdict,
      };
  }
}

function failedByWorker(
  message: Record<string, unknown>,
  error: string,
  response: string | null,
): Settlement {
  const named = typeof message.error_type === "string" ? message.error_type : "exception";
  const errorType = ERROR_TYPES.has(named) ? named : "exception";
  const unavailable = "LLM provider unavailable";
  const errorMessage =
    errorType === "provider_unavailable" && !error.includes(unavailable) ? `${unavailable}: ${error}` : error;
  const callOutcome = ERROR_TYPES.get(errorType) ?? "exception";
  return { kind: "failed", errorType, errorMessage, callOutcome, response, verdict: null };
}

function errorTextOf(error: unknown): string | null {
  if (error === null || error === undefined || error === false) return null;
  if (isObject(error) && typeof error.message === "string") return error.message;
  const text = typeof error === "string" ? error : JSON.stringify(error);
  return text === "" ? "the worker gave no reason" : text;
}

function whyUnknown(requestId: unknown): string {
  return typeof requestId === "string" && requestId !== ""
    ? "no unfinished request has this request_id"
    : "the message has no request_id";
}

function setAside(reason: string): Settlement {
  return { kind: "set_aside", reason };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
