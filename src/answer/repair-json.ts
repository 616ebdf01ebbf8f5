import { jsonrepair } from "jsonrepair";
import { fitsLimits } from "./json-limits.ts";
import type { Range } from "./json-spans.ts";
import { toStorableValue } from "./storable.ts";

/**
 * Longer texts are not repaired. jsonrepair's time grows with the square of the length for some inputs
 * (missing commas: 0.14 s for 64 KB, 15 s for 256 KB), and nothing else runs meanwhile.
 */
export const MAX_REPAIR_LENGTH = 65_536;

export type ParsedJson = { value: unknown };

/** `JSON.parse` within the limits of json-limits.ts, fit to be stored; null when the text is not JSON. */
export function parseJson(text: string): ParsedJson | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!fitsLimits(value)) return null;
  // Escapes are the only way such characters get into the value of a text that is storable itself.
  return { value: /\\u(?:0000|d[89a-f])/i.test(text) ? toStorableValue(value) : value };
}

/**
 * Mends quotes, commas, comments, escapes, Python literals and brackets. Only for text whose outermost bracket
 * is closed (`findJsonSpans`): otherwise jsonrepair would complete a truncated answer with made-up values.
 *
 * The `strings` that are well-formed are kept away from jsonrepair, which splits some at the brackets inside
 * them: 3.15 reads `{"a":["["],}` as `{"a":["",[""]]}`.
 */
export function repairJson(text: string, strings: Range[]): ParsedJson | null {
  if (text.length > MAX_REPAIR_LENGTH) return null;
  let mark = "kept";
  while (text.includes(mark)) mark += "_";
  const kept: string[] = [];
  let masked = "";
  let at = 0;
  for (const { start, end } of strings) {
    const string = text.slice(start, end);
    if (parseJson(string) === null) continue;
    masked += `${text.slice(at, start)}"${mark}${kept.length};"`;
    kept.push(string);
    at = end;
  }
  try {
    const repaired = jsonrepair(masked + text.slice(at));
    const whole = repaired.replaceAll(new RegExp(`"${mark}(\\d+);"`, "g"), (_, n) => kept[Number(n)] ?? "");
    // `"a" + "b"` has become one string.
    const parts = whole.replaceAll(
      new RegExp(`${mark}(\\d+);`, "g"),
      (_, n) => kept[Number(n)]?.slice(1, -1) ?? "",
    );
    return parseJson(parts);
  } catch {
    return null;
  }
}
