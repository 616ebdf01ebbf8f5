/**
 * Gentle coercion: a value of the wrong type that has one obvious reading in the right one. It runs only
 * after a plain check failed, follows ajv's errors, and counts only when the result passes the whole schema.
 *
 * | found                        | wanted            | becomes        |
 * |------------------------------|-------------------|----------------|
 * | `"3"`, `" 2.5 "`             | number or integer | 3, 2.5         |
 * | `"true"`, `"False"`          | boolean           | true, false    |
 * | `"{\"a\": 1}"`, `"[1, 2]"`   | object, array     | what it holds  |
 * | one value, not null or ""    | array             | `[value]`      |
 *
 * Nothing is dropped and nothing invented: null, "" and numbers too long for a double stay as they are, and
 * a number never becomes a string.
 */
import type { ErrorObject } from "ajv";
import { parseJson } from "./repair-json.ts";
import type { SchemaCheck } from "./schema-validator.ts";
import { childOf, pointerSegments } from "./violations.ts";

/** A list of numbers given as one string needs two rounds, one inside an encoded object three or four. */
const MAX_ROUNDS = 5;

type Check = (value: unknown) => SchemaCheck;

/** The coerced value when it passes `check`, else null. `value`, which broke with `errors`, is left alone. */
export function coerceToSchema(
  value: unknown,
  errors: ErrorObject[],
  check: Check,
): { value: unknown } | null {
  const root = { value: structuredClone(value) };
  let pending = errors;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    if (!coerceOnce(root, pending)) return null;
    const result = check(root.value);
    if (result.kind === "valid") return root;
    if (result.kind === "invalid_schema") return null;
    pending = result.errors;
  }
  return null;
}

/** Mends each place once; false when there was nothing to mend. */
function coerceOnce(root: { value: unknown }, errors: ErrorObject[]): boolean {
  const mended = new Set<string>();
  for (const error of errors) {
    if (error.keyword !== "type" || mended.has(error.instancePath)) continue;
    const wanted: unknown[] = [error.params.type].flat();
    const segments = ["value", ...pointerSegments(error.instancePath)];
    const last = segments.pop() as string;
    const parent = segments.reduce<unknown>(childOf, root);
    if (typeof parent !== "object" || parent === null || !Object.hasOwn(parent, last)) continue;
    const coerced = firstReading((parent as Record<string, unknown>)[last], wanted);
    if (coerced === null) continue;
    // Not an assignment: an own key named __proto__ is data here.
    Object.defineProperty(parent, last, { value: coerced.value });
    mended.add(error.instancePath);
  }
  return mended.size > 0;
}

function firstReading(value: unknown, wanted: unknown[]): { value: unknown } | null {
  for (const type of wanted) {
    const reading = readAs(value, type);
    if (reading !== null) return reading;
  }
  return null;
}

function readAs(value: unknown, type: unknown): { value: unknown } | null {
  if (value === null || value === undefined || value === "" || Array.isArray(value)) return null;
  if (type === "array") {
    const encoded = encodedJson(value);
    return encoded !== null && Array.isArray(encoded.value) ? encoded : { value: [value] };
  }
  if (typeof value !== "string") return null;
  if (type === "number" || type === "integer") return readNumber(value.trim(), type);
  if (type === "boolean") {
    const word = value.trim().toLowerCase();
    return word === "true" || word === "false" ? { value: word === "true" } : null;
  }
  if (type === "object") {
    const encoded = encodedJson(value);
    return encoded !== null && !Array.isArray(encoded.value) ? encoded : null;
  }
  return null;
}

function readNumber(text: string, type: "number" | "integer"): { value: number } | null {
  if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)) return null;
  const number = Number(text);
  const mantissa = text.replace(/[eE].*$/, "").replaceAll(/[-.]/g, "");
  const fits = Number.isSafeInteger(number) && /^-?\d+$/.test(text);
  const exact = fits || (Number.isFinite(number) && mantissa.length <= 15);
  if (!exact || (number === 0 && /[1-9]/.test(mantissa))) return null;
  return type === "number" || Number.isInteger(number) ? { value: number } : null;
}

function encodedJson(value: unknown): { value: object } | null {
  if (typeof value !== "string" || !/^\s*[{[]/.test(value)) return null;
  const parsed = parseJson(value);
  return typeof parsed?.value === "object" && parsed.value !== null ? { value: parsed.value } : null;
}
