import type { ChatMessage } from "../providers/provider.ts";
import type { ValidationError } from "./answer.ts";

/** A longer answer is shown to the model with its middle left out; in UTF-16 code units. */
export const MAX_QUOTED_ANSWER = 20_000;

/** So many errors are told at once. */
const MAX_TOLD_ERRORS = 20;

/** Whether asking again can help: not when the schema itself is at fault. */
export function isWorthReasking(validationErrors: ValidationError[]): boolean {
  return validationErrors.every((error) => error.type !== "invalid_schema");
}

/**
 * The conversation for another try: the original one, the last answer, and what was wrong with it. Always pass
 * the request's own messages, never the result of an earlier call: models repeat the failures they are shown.
 *
 * `lastAnswer` is text; tool calls that failed are given as their JSON, since a message with real
 * `tool_calls` must be followed by tool results.
 */
export function reaskMessages(answer: {
  messages: ChatMessage[];
  lastAnswer: string;
  validationErrors: ValidationError[];
}): ChatMessage[] {
  const { messages, lastAnswer, validationErrors } = answer;
  const told = validationErrors.slice(0, MAX_TOLD_ERRORS).map((error) => `- ${tellError(error)}`);
  const untold = validationErrors.length - told.length;
  if (untold > 0) told.push(`- and ${untold} more of this kind`);
  const request = [
    "Your last answer could not be used:",
    ...told,
    "Answer again, complete and corrected, in the format that was asked for and with nothing else.",
  ].join("\n");
  return [
    ...messages,
    { role: "assistant", content: quoteAnswer(lastAnswer) },
    { role: "user", content: request },
  ];
}

/** Providers refuse an assistant message without text. */
function quoteAnswer(text: string): string {
  if (text.trim() === "") return "(empty answer)";
  if (text.length <= MAX_QUOTED_ANSWER) return text;
  const half = MAX_QUOTED_ANSWER / 2;
  const leftOut = text.length - 2 * half;
  const quoted = `${text.slice(0, half)}\n[... ${leftOut} characters left out ...]\n${text.slice(-half)}`;
  return quoted.toWellFormed();
}

function tellError(error: ValidationError): string {
  if (error.type === "json_decode_error") {
    return `it is not valid JSON: ${error.error} (at character ${error.position})`;
  }
  return `${error.field === "$" ? "the answer" : error.field} ${error.message}`;
}
