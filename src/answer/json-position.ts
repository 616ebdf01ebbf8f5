/**
 * A strict JSON scanner that builds nothing: it says where a value ends, or where and why it breaks.
 * V8's messages give a position in some cases only, and their wording changes between versions.
 * One pass, no recursion. Grammar: RFC 8259.
 */
import { MAX_JSON_DEPTH } from "./json-limits.ts";

/** Positions are 0-based offsets into the text, in UTF-16 code units like every JavaScript offset. */
export type JsonScan =
  | { kind: "complete"; end: number }
  | { kind: "broken"; position: number; error: string }
  /** The text ended in the middle of the value: everything up to there was right. */
  | { kind: "unfinished"; position: number; error: string };

type Expect = "value" | "value or ]" | "key" | "key or }" | ":" | ", or close";

const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const BEGUN_SCALAR = /(?:-|t|tr|tru|f|fa|fal|fals|n|nu|nul)$/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const BEGUN_ESCAPE = /\\(?:u[0-9a-fA-F]{0,3})?$/y;

/** Offset of the first character at or after `from` that is not JSON white space. */
export function skipSpace(text: string, from: number): number {
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) break;
  }
  return at;
}

/** Reads one JSON value that starts at `from` (white space before it is allowed); what follows is ignored. */
export function scanJson(text: string, from: number): JsonScan {
  const closers: ("}" | "]")[] = [];
  let expect: Expect = "value";
  let at = from;
  for (;;) {
    at = skipSpace(text, at);
    const char = text[at];
    if (char === undefined) return unfinished(text);
    const closes = expect === "value or ]" || expect === "key or }" || expect === ", or close";
    if (closes && char === closers.at(-1)) {
      closers.pop();
      at += 1;
    } else if (expect === ", or close") {
      if (char !== ",") return broken(at, `Expected ',' or '${closers.at(-1)}' after a value`);
      expect = closers.at(-1) === "}" ? "key" : "value";
      at += 1;
      continue;
    } else if (expect === ":") {
      if (char !== ":") return broken(at, "Expected ':' after a property name");
      expect = "value";
      at += 1;
      continue;
    } else if (expect === "key" || expect === "key or }") {
      if (char !== '"') return broken(at, "Expected a property name in double quotes");
      const end = endOfString(text, at);
      if (typeof end !== "number") return end;
      expect = ":";
      at = end;
      continue;
    } else if (char === "{" || char === "[") {
      if (closers.length === MAX_JSON_DEPTH) return broken(at, `Nested deeper than ${MAX_JSON_DEPTH} levels`);
      closers.push(char === "{" ? "}" : "]");
      expect = char === "{" ? "key or }" : "value or ]";
      at += 1;
      continue;
    } else {
      const end = char === '"' ? endOfString(text, at) : endOfScalar(text, at);
      if (typeof end !== "number") return end;
      at = end;
    }
    if (closers.length === 0) return { kind: "complete", end: at };
    expect = ", or close";
  }
}

/** Why `JSON.parse(text.slice(from))` fails, or null when it does not. Offsets count from the text's start. */
export function findJsonError(text: string, from: number): { position: number; error: string } | null {
  const scan = scanJson(text, from);
  if (scan.kind !== "complete") return { position: scan.position, error: scan.error };
  const rest = skipSpace(text, scan.end);
  return rest === text.length ? null : { position: rest, error: "Unexpected text after the JSON value" };
}

function endOfString(text: string, from: number): number | JsonScan {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return at + 1;
    if (code < 0x20) return broken(at, "Unescaped control character in a string");
    if (code !== 0x5c) continue;
    ESCAPE.lastIndex = at;
    if (!ESCAPE.test(text)) {
      BEGUN_ESCAPE.lastIndex = at;
      return BEGUN_ESCAPE.test(text) ? unfinished(text) : broken(at, "Bad escape in a string");
    }
    at = ESCAPE.lastIndex - 1;
  }
  return unfinished(text);
}

function endOfScalar(text: string, from: number): number | JsonScan {
  SCALAR.lastIndex = from;
  const scalar = SCALAR.exec(text)?.[0];
  if (scalar !== undefined) {
    return Number.isFinite(Number(scalar)) || /^[tfn]/.test(scalar)
      ? from + scalar.length
      : broken(from, "Number out of range");
  }
  BEGUN_SCALAR.lastIndex = from;
  if (BEGUN_SCALAR.test(text)) return unfinished(text);
  return broken(
    from,
    `Unexpected token ${JSON.stringify(String.fromCodePoint(text.codePointAt(from) ?? 0))}`,
  );
}

function broken(position: number, error: string): JsonScan {
  return { kind: "broken", position, error };
}

function unfinished(text: string): JsonScan {
  return { kind: "unfinished", position: text.length, error: "Unexpected end of JSON input" };
}
