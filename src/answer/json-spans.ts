/**
 * Finds the JSON objects and arrays in a text that may hold prose around them, valid or nearly so.
 * Every character is looked at a fixed number of times: a megabyte of `{` costs what a megabyte of prose does.
 */
import { scanJson, skipSpace } from "./json-position.ts";

/** `start` to `end` (exclusive) is one outermost object or array. */
export type JsonSpan = {
  start: number;
  end: number;
  /** False: it closes, but is not JSON. */
  valid: boolean;
  /** Why it must not be repaired: something is missing that a repair would have to invent. */
  gap: string | null;
  /** Strings in double quotes inside a broken span that hold no stray quote: a repair must not change them. */
  strings: Range[];
};

/** Offsets into the text, `end` exclusive. */
export type Range = { start: number; end: number };

export type JsonSpans = {
  spans: JsonSpan[];
  /**
   * An object or array that never closes. `truncated`: correct JSON up to the last character, so the answer
   * was cut off. Otherwise it may be a stray bracket in prose.
   */
  unclosed: { start: number; truncated: boolean } | null;
};

/** What follows a bracket that begins JSON, and does not follow one in prose. Bounded, hence linear. */
const BEGINS_JSON =
  /\{\s{0,200}(?:\}|"|'[^'\n]{0,200}'\s{0,50}:|[\w$-]{1,100}\s{0,50}:|\/[/*]|$)|\[\s{0,200}(?:["'{[\]\d-]|(?:true|false|null|True|False|None)\b|\/[/*]|$)/y;

/** Looks from `from` on. Spans never overlap or nest; the inside of a broken object is never offered alone. */
export function findJsonSpans(text: string, from: number): JsonSpans {
  const spans: JsonSpan[] = [];
  const bracket = /[{[]/g;
  bracket.lastIndex = from;
  for (let match = bracket.exec(text); match !== null; match = bracket.exec(text)) {
    const start = match.index;
    BEGINS_JSON.lastIndex = start;
    if (!BEGINS_JSON.test(text)) continue;
    const scan = scanJson(text, start);
    if (scan.kind === "unfinished") return { spans, unclosed: { start, truncated: true } };
    const close =
      scan.kind === "complete" ? { end: scan.end, gap: null, strings: [] } : findClose(text, start);
    if (close === null) return { spans, unclosed: { start, truncated: false } };
    spans.push({ start, valid: scan.kind === "complete", ...close });
    bracket.lastIndex = close.end;
  }
  return { spans, unclosed: null };
}

/** The end of a nearly-JSON object or array: brackets outside strings balance. Null when it never closes. */
function findClose(
  text: string,
  start: number,
): { end: number; gap: string | null; strings: Range[] } | null {
  const open: string[] = [];
  const counts = { "}": 0, "]": 0 };
  const strings: Range[] = [];
  let gap: string | null = null;
  let before = "";
  for (let at = start; at < text.length; at++) {
    const char = text[at] as string;
    if (/\s/.test(char)) continue;
    const string = skipString(text, at, before);
    // jsonrepair reads 'it's' as "it\"s".
    if (char === "'" && string?.strayQuote) gap ??= "a quote inside a string is not escaped";
    if (char === '"' && string?.strayQuote === false) strings.push({ start: at, end: string.end });
    const next = string?.end ?? skipComment(text, at);
    if (next !== null) {
      if (next > text.length) return null;
      if (char !== "/") before = '"';
      at = next - 1;
      continue;
    }
    if (char === "{" || char === "[") {
      const closer = char === "{" ? "}" : "]";
      open.push(closer);
      counts[closer] += 1;
    } else if (char === "}" || char === "]") {
      if (before === ":") gap ??= "a value is missing";
      // `[1, 2}` inside `{...}`: the object's end closes the array too.
      if (counts[char] > 0) {
        for (let closed = ""; closed !== char; ) {
          closed = open.pop() as string;
          counts[closed as "}" | "]"] -= 1;
        }
      }
      if (open.length === 0) return { end: at + 1, gap, strings };
    } else if (char === "," && before === ":") {
      gap ??= "a value is missing";
    } else if (char === "…" || text.startsWith("...", at)) {
      gap ??= "a part is left out with an ellipsis";
    }
    before = char;
  }
  return null;
}

/**
 * `end` is the offset behind the string that starts at `at`, beyond the text when it never ends; null when no
 * string starts there. `strayQuote`: it holds its own quote without an escape.
 */
function skipString(text: string, at: number, before: string): { end: number; strayQuote: boolean } | null {
  const quote = text[at];
  const starts = quote === '"' || (quote === "'" && "{[,:".includes(before));
  if (!starts) return null;
  let strayQuote = false;
  for (let end = at + 1; end < text.length; end++) {
    if (text[end] === "\\") end += 1;
    else if (text[end] === quote) {
      // A quote inside the string that somebody forgot to escape is not followed by one of these.
      const follower = text[skipSpace(text, end + 1)];
      if (follower === undefined || ",:}]/+".includes(follower)) {
        return { end: end + 1, strayQuote };
      }
      strayQuote = true;
    }
  }
  return { end: text.length + 1, strayQuote };
}

function skipComment(text: string, at: number): number | null {
  const ending = text.startsWith("//", at) ? "\n" : text.startsWith("/*", at) ? "*/" : null;
  if (ending === null) return null;
  const end = text.indexOf(ending, at + 2);
  return end === -1 ? text.length + 1 : end + ending.length;
}
