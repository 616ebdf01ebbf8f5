/** A JSON value as lines of text, each with what a check found wrong at its place. */

import { pointerToField } from "../../../src/answer/violations.ts";
import type { ValidationProblem } from "../../../src/http/dashboard/api-request-types.ts";

export type JsonLine = {
  indent: number;
  /** In front of the value; null in arrays and at the root. */
  key: string | null;
  text: string;
  comma: string;
  kind: "string" | "number" | "word" | "bracket" | "absent";
  /** Numbers of the problems at this place. */
  problems: number[];
};

type Marks = {
  at: (field: string) => number[];
  missingIn: (field: string, value: object) => [string, number[]][];
};

/** With the problems in the notation of `validation_errors`; one that has no place is at the root. */
export function jsonLines(value: unknown, problems: readonly ValidationProblem[] = []): JsonLine[] {
  const lines: JsonLine[] = [];
  const placed = new Set<number>();
  addValue(lines, { value, field: "$", key: null, indent: 0, comma: "" }, marksOf(problems, placed));
  const lost = problems.flatMap(({ field }, index) => (field === null || placed.has(index) ? [] : [index]));
  lines[0]?.problems.push(...lost);
  return lines;
}

type Place = { value: unknown; field: string; key: string | null; indent: number; comma: string };

function addValue(lines: JsonLine[], place: Place, marks: Marks): void {
  const { value, field, key, indent, comma } = place;
  const problems = marks.at(field);
  if (typeof value !== "object" || value === null) {
    const kind = typeof value === "string" ? "string" : typeof value === "number" ? "number" : "word";
    lines.push({ indent, key, text: JSON.stringify(value), comma, kind, problems });
    return;
  }
  const [open, close] = Array.isArray(value) ? (["[", "]"] as const) : (["{", "}"] as const);
  const entries = Object.entries(value);
  const missing = marks.missingIn(field, value);
  const isEmpty = entries.length === 0 && missing.length === 0;
  lines.push({
    indent,
    key,
    text: isEmpty ? open + close : open,
    comma: isEmpty ? comma : "",
    kind: "bracket",
    problems,
  });
  if (isEmpty) return;
  for (const [index, [name, child]] of entries.entries()) {
    addValue(
      lines,
      {
        value: child,
        field: childField(field, name, value),
        key: Array.isArray(value) ? null : name,
        indent: indent + 1,
        comma: index < entries.length - 1 ? "," : "",
      },
      marks,
    );
  }
  for (const [name, absent] of missing) {
    lines.push({
      indent: indent + 1,
      key: name,
      text: "absent",
      comma: "",
      kind: "absent",
      problems: absent,
    });
  }
  lines.push({ indent, key: null, text: close, comma, kind: "bracket", problems: [] });
}

function childField(field: string, key: string, parent: object): string {
  return pointerToField(`/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, parent, field);
}

function marksOf(problems: readonly ValidationProblem[], placed: Set<number>): Marks {
  const byField = new Map<string, number[]>();
  for (const [index, { field }] of problems.entries()) {
    if (field !== null) byField.set(field, [...(byField.get(field) ?? []), index]);
  }
  const take = (field: string): number[] => {
    const found = byField.get(field) ?? [];
    for (const index of found) placed.add(index);
    return [...found];
  };
  return {
    at: take,
    missingIn: (field, value) =>
      [...byField.keys()].flatMap((wanted): [string, number[]][] => {
        const name = lastKey(wanted);
        if (name === null || Object.hasOwn(value, name) || childField(field, name, value) !== wanted)
          return [];
        return [[name, take(wanted)]];
      }),
  };
}

/** `b` of `a.b` and of `b`, `x y` of `a["x y"]`; null for an array's index. */
function lastKey(field: string): string | null {
  const quoted = /\[("(?:[^"\\]|\\.)*")\]$/.exec(field)?.[1];
  if (quoted !== undefined) return JSON.parse(quoted) as string;
  return /([^.[\]]+)$/.exec(field)?.[1] ?? null;
}
