/**
 * What becomes of a model's answer: text, a parsed value, or the reasons why not. Pure: no database, no network.
 *
 * 1. Native tool calls: the one shape of tool-calls.ts. The response schema does not apply to such a turn.
 * 2. A response schema, or text that starts with `{` or `[`: JSON is due. Candidates (extract-json.ts) are
 *    checked against the schema; the first that fits wins, else the first is coerced gently, else it fails.
 * 3. Anything else is plain text.
 */
import type { ChatTool } from "../providers/provider.ts";
import type { AnswerVerdict, Repair, ValidationError } from "./answer.ts";
import { type CheckedValue, checkValue } from "./check-value.ts";
import { explainBrokenJson, type JsonCandidate, jsonCandidates } from "./extract-json.ts";
import type { CompiledSchema, SchemaValidator } from "./schema-validator.ts";
import { toStorableText } from "./storable.ts";
import { endOfThought, looksLikeJson } from "./strip-wrapping.ts";
import {
  checkToolCalls,
  malformedToolCalls,
  type NativeToolCall,
  normaliseToolCalls,
  readNativeToolCalls,
} from "./tool-calls.ts";
import { MAX_VIOLATIONS } from "./violations.ts";

export type Schemas = {
  /** `response_schema` of the request, unchecked; null for none. */
  responseSchema: unknown;
  /** The tools the model could call in this turn. */
  toolsOffered: ChatTool[];
};

export type AnswerToCheck = Schemas & {
  /** The text of the answer as it came; "" when there was none. */
  text: string;
  toolCalls: NativeToolCall[];
  validator: SchemaValidator;
};

/** `field`: in the request, `response_schema.properties.a.type` or `tools[0].function.parameters`. */
export type SchemaFault = { field: string; message: string };

const PREVIEW_CHARACTERS = 100;

/** Never throws. All strings of the verdict can be stored in Postgres (storable.ts). */
export function checkAnswer(answer: AnswerToCheck): AnswerVerdict {
  const text = toStorableText(answer.text);
  if (answer.toolCalls.length > 0) return checkNativeToolCalls(text, answer);
  const schema = answer.responseSchema ?? null;
  if (schema === null && !looksLikeJson(text.slice(endOfThought(text)?.start ?? 0))) {
    return { kind: "text", response: text };
  }
  const compiled = schema === null ? null : answer.validator.compile(schema);
  const candidate = bestCandidate(text, compiled);
  if (candidate === null) return notJson(text);
  const checked =
    compiled === null || candidate.fits ? asIs(candidate.value) : checkValue(candidate.value, compiled);
  const repairs = [...candidate.repairs, ...checked.repairs];
  if (checked.errors.length > 0) return invalid(text, checked.value, checked.errors, repairs);
  return withToolCalls(text, checked.value, repairs, answer);
}

/** The first schema of these that no answer could be checked against. */
export function schemaFault(schemas: Schemas, validator: SchemaValidator): SchemaFault | null {
  const given = [
    { at: "response_schema", schema: schemas.responseSchema ?? true },
    ...schemas.toolsOffered.map((tool, index) => ({
      at: `tools[${index}].function.parameters`,
      schema: tool.function.parameters ?? true,
    })),
  ];
  for (const { at, schema } of given) {
    const compiled = validator.compile(schema);
    if (compiled.kind === "invalid_schema") {
      const field = toStorableText(compiled.field === "$" ? at : `${at}.${compiled.field}`);
      return { field, message: toStorableText(compiled.message) };
    }
  }
  return null;
}

/** The verdict on an answer whose check had to be given up. */
export function uncheckable(text: string, message: string): AnswerVerdict {
  return invalid(toStorableText(text), null, [{ type: "invalid_schema", field: "$", message }], []);
}

/** For people: what `error_message` says. Starts with `Malformed or invalid LLM response`. */
export function describeInvalid(errors: ValidationError[]): string {
  const prefix = "Malformed or invalid LLM response";
  const first = errors[0];
  if (first === undefined) return prefix;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
  switch (first.type) {
    case "json_decode_error":
      return `${prefix}: ${first.error} at position ${first.position}`;
    case "schema_violation":
      return `${prefix}: ${first.field === "$" ? "the answer" : first.field} ${first.message}${more}`;
    case "invalid_schema":
      return `${prefix}: it cannot be checked, the schema is invalid (${first.field}: ${first.message})`;
  }
}

function checkNativeToolCalls(text: string, answer: AnswerToCheck): AnswerVerdict {
  const read = readNativeToolCalls(answer.toolCalls, text, answer.toolsOffered, answer.validator);
  if (read.errors.length > 0) return invalid(text, read.answer, read.errors, read.repairs);
  return { kind: "parsed", response: text, parsedResponse: read.answer, repairs: read.repairs };
}

/** The first candidate that fits the schema as it is (`fits`), else the first. */
function bestCandidate(
  text: string,
  compiled: CompiledSchema | null,
): (JsonCandidate & { fits: boolean }) | null {
  let best: JsonCandidate | null = null;
  for (const candidate of jsonCandidates(text, compiled !== null)) {
    best ??= candidate;
    if (compiled === null) return { ...candidate, fits: true };
    const result = compiled.kind === "compiled" ? compiled.check(candidate.value) : compiled;
    if (result.kind === "valid") return { ...candidate, fits: true };
    if (result.kind === "invalid_schema") break;
  }
  return best === null ? null : { ...best, fits: false };
}

/** Tool calls the model wrote as JSON are brought into the one shape, after the schema has seen them as written. */
function withToolCalls(
  text: string,
  value: unknown,
  repairs: Repair[],
  answer: AnswerToCheck,
): AnswerVerdict {
  // A response schema is the whole contract: it may describe tools that only the application knows.
  const unchecked = (answer.responseSchema ?? null) !== null;
  const calls = normaliseToolCalls(value);
  if (calls === null) {
    const errors = unchecked || answer.toolsOffered.length === 0 ? [] : malformedToolCalls(value);
    if (errors.length > 0) return invalid(text, value, errors, repairs);
    return { kind: "parsed", response: text, parsedResponse: value, repairs };
  }
  if (unchecked) return { kind: "parsed", response: text, parsedResponse: calls, repairs };
  const checked = checkToolCalls(calls.tool_calls, answer.toolsOffered, answer.validator);
  const parsedResponse = { ...calls, tool_calls: checked.toolCalls };
  if (checked.errors.length > 0) return invalid(text, parsedResponse, checked.errors, repairs);
  const all = [...new Set([...repairs, ...checked.repairs])];
  return { kind: "parsed", response: text, parsedResponse, repairs: all };
}

function notJson(text: string): AnswerVerdict {
  const { position, error } = explainBrokenJson(text);
  const response_preview = [...text.slice(0, 2 * PREVIEW_CHARACTERS)].slice(0, PREVIEW_CHARACTERS).join("");
  return invalid(text, null, [{ type: "json_decode_error", error, position, response_preview }], []);
}

function invalid(
  response: string,
  parsedResponse: unknown,
  errors: ValidationError[],
  repairs: Repair[],
): AnswerVerdict {
  const validationErrors = errors.slice(0, MAX_VIOLATIONS).map(storableError);
  const errorMessage = describeInvalid(validationErrors);
  return { kind: "invalid", errorMessage, response, parsedResponse, validationErrors, repairs };
}

/** Schemas and tool names may carry into messages what Postgres cannot store. */
function storableError(error: ValidationError): ValidationError {
  if (error.type === "json_decode_error") return error;
  return { ...error, field: toStorableText(error.field), message: toStorableText(error.message) };
}

function asIs(value: unknown): CheckedValue {
  return { value, errors: [], repairs: [] };
}
