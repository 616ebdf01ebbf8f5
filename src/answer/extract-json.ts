/**
 * From a model's text to JSON, gentlest reading first: as it is, behind the thoughts, inside a fence, the
 * largest object or array in the text, and that one repaired. Works on storable text (storable.ts).
 */
import type { Repair } from "./answer.ts";
import { findJsonError, skipSpace } from "./json-position.ts";
import { findJsonSpans, type JsonSpan } from "./json-spans.ts";
import { parseJson, repairJson } from "./repair-json.ts";
import { endOfThought, fencedBlocks } from "./strip-wrapping.ts";

export type JsonCandidate = { value: unknown; repairs: Repair[] };

/** So many readings of one text are tried against the schema; real answers have one or two. */
const MAX_CANDIDATES = 20;

/**
 * The ways to read `text` as JSON, best first. A text that is JSON as it stands has exactly one.
 *
 * `anywhere` (a schema will judge the result): JSON may be surrounded by prose. Otherwise the text must start
 * with the JSON, and what is left behind it must not be JSON as well, so that nothing is dropped unseen.
 */
export function* jsonCandidates(text: string, anywhere: boolean): Generator<JsonCandidate, void> {
  const asItIs = parseJson(text.trim());
  if (asItIs !== null) return yield { value: asItIs.value, repairs: [] };
  const thought = endOfThought(text);
  let found = false;
  if (thought !== null) {
    for (const candidate of behindThought(text, thought.start, anywhere)) {
      found = true;
      yield { value: candidate.value, repairs: ["think_block", ...candidate.repairs] };
    }
  }
  if (thought === null || (thought.guessed && !found)) yield* inBody(text, 0, anywhere);
}

/** Where and why the text is not JSON; the position is a 0-based offset into `text`. */
export function explainBrokenJson(text: string): { position: number; error: string } {
  const bodyStart = endOfThought(text)?.start ?? 0;
  const { spans, unclosed } = findJsonSpans(text, bodyStart);
  const largest = bySize(spans)[0];
  const start = unclosed?.start ?? largest?.start ?? firstVisible(text, bodyStart);
  const found = findJsonError(text, start);
  if (found === null) return { position: start, error: "Could not be read as JSON" };
  if (unclosed !== null && !unclosed.truncated) {
    return { ...found, error: `${found.error}; the text ends before its JSON is closed` };
  }
  const gap = unclosed === null ? largest?.gap : null;
  return gap ? { ...found, error: `${found.error}; ${gap}` } : found;
}

function* behindThought(text: string, start: number, anywhere: boolean): Generator<JsonCandidate, void> {
  const whole = parseJson(text.slice(start).trim());
  if (whole !== null) return yield { value: whole.value, repairs: [] };
  yield* inBody(text, start, anywhere);
}

function* inBody(text: string, from: number, anywhere: boolean): Generator<JsonCandidate, void> {
  if (!anywhere) return yield* atTheStart(text, from);
  const blocks = bySize(fencedBlocks(text, from)).slice(0, MAX_CANDIDATES);
  for (const block of blocks) {
    const parsed = parseJson(text.slice(block.start, block.end));
    if (parsed !== null) yield { value: parsed.value, repairs: ["code_fence"] };
  }
  const { spans, unclosed } = findJsonSpans(text, from);
  // A complete example in front of an answer that was cut off is not the answer.
  if (unclosed?.truncated === true) return;
  for (const span of bySize(spans).slice(0, MAX_CANDIDATES)) {
    const fenced = blocks.some((block) => block.start === span.start && block.end === span.end);
    const candidate = readSpan(text, span);
    if (candidate === null || (fenced && span.valid)) continue;
    const whole = isWhole(text, from, span);
    yield { value: candidate.value, repairs: [...wrapping(fenced, whole), ...candidate.repairs] };
  }
}

function wrapping(fenced: boolean, whole: boolean): Repair[] {
  if (fenced) return ["code_fence"];
  return whole ? [] : ["extracted_json"];
}

function* atTheStart(text: string, from: number): Generator<JsonCandidate, void> {
  const { spans, unclosed } = findJsonSpans(text, from);
  const [first, second] = spans;
  if (unclosed?.truncated === true || first === undefined || first.start !== firstVisible(text, from)) return;
  if (second !== undefined) return yield* jsonLines(text, from, spans);
  const candidate = readSpan(text, first);
  if (candidate === null) return;
  if (isWhole(text, from, first)) return yield candidate;
  // `[1] Smith et al.` is a sentence.
  if (!holdsObject(candidate.value)) return;
  yield { value: candidate.value, repairs: ["extracted_json", ...candidate.repairs] };
}

/** Several values with nothing but white space and commas between them become one array. */
function* jsonLines(text: string, from: number, spans: JsonSpan[]): Generator<JsonCandidate, void> {
  let at = from;
  for (const span of spans) {
    if (!span.valid || /[^\s,]/.test(text.slice(at, span.start))) return;
    at = span.end;
  }
  if (text.slice(at).trim() !== "") return;
  const values = spans.map((span) => parseJson(text.slice(span.start, span.end)));
  if (values.includes(null)) return;
  yield { value: values.map((parsed) => parsed?.value), repairs: ["repaired_json"] };
}

function readSpan(text: string, span: JsonSpan): JsonCandidate | null {
  const json = text.slice(span.start, span.end);
  if (span.valid) {
    const parsed = parseJson(json);
    return parsed === null ? null : { value: parsed.value, repairs: [] };
  }
  if (span.gap !== null) return null;
  const strings = span.strings.map(({ start, end }) => ({
    start: start - span.start,
    end: end - span.start,
  }));
  const repaired = repairJson(json, strings);
  return repaired === null ? null : { value: repaired.value, repairs: ["repaired_json"] };
}

/** Larger first; of equals the later one, since drafts come before the answer. */
function bySize<S extends { start: number; end: number }>(spans: S[]): S[] {
  return spans.toSorted((a, b) => b.end - b.start - (a.end - a.start) || b.start - a.start);
}

function isWhole(text: string, from: number, span: JsonSpan): boolean {
  return span.start === firstVisible(text, from) && text.slice(span.end).trim() === "";
}

function firstVisible(text: string, from: number): number {
  const rest = text.slice(from);
  return skipSpace(text, from + rest.length - rest.trimStart().length);
}

function holdsObject(value: unknown): boolean {
  const items: unknown[] = Array.isArray(value) ? value : [value];
  return items.some((item) => typeof item === "object" && item !== null);
}
