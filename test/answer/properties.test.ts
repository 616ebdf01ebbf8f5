import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkAnswer } from "../../src/answer/check-answer.ts";
import { findJsonError, scanJson } from "../../src/answer/json-position.ts";
import { createSchemaValidator } from "../../src/answer/schema-validator.ts";
import { toStorableText, toStorableValue } from "../../src/answer/storable.ts";

const validator = createSchemaValidator();

function check(text: string, responseSchema: unknown = null) {
  return checkAnswer({ text, toolCalls: [], responseSchema, toolsOffered: [], validator });
}

/** JSON text of a value, compact or pretty; what a model may have meant to send. */
const json = fc
  .tuple(fc.jsonValue({ maxDepth: 4 }), fc.constantFrom(0, 2))
  .map(([value, indent]) => JSON.stringify(value, null, indent));
const nested = json.filter((text) => /^[{[]/.test(text) && text.length > 2);
const prose = fc.stringMatching(/^[A-Za-z0-9 ,.:;'()\n]*$/);
/** Damaged JSON and brackets in unlikely places. */
const noise = fc
  .array(
    fc.oneof(
      json,
      fc.constantFrom("{", "}", "[", "]", '"', "'", ",", ":", "\\", "```json\n", "\n```\n", "<think>", "..."),
      fc.constantFrom("</think>", "//", "/*", "true", "1e999", "\u0000", "\ud800", '{"tool_calls":[', "name"),
      fc.string({ unit: "binary" }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(""));

describe("JSON around which a model talks", () => {
  it("comes back equal out of prose", () => {
    fc.assert(
      fc.property(prose, nested, prose, (before, text, after) => {
        expect(check(`${before} ${text} ${after}`, true)).toMatchObject({ kind: "parsed" });
        expect(check(`${before} ${text} ${after}`, true)).toHaveProperty("parsedResponse", JSON.parse(text));
      }),
    );
  });

  it("comes back equal out of a code fence, scalars too", () => {
    fc.assert(
      fc.property(prose, json, fc.constantFrom("```", "```json", "~~~~"), (before, text, fence) => {
        const answer = `${before}\n${fence}\n${text}\n${fence.replace("json", "")}\nDone.`;
        expect(check(answer, true)).toHaveProperty("parsedResponse", JSON.parse(text));
      }),
    );
  });

  it("comes back equal from behind a think block, whatever was thought", () => {
    fc.assert(
      fc.property(
        noise.filter((thought) => !/<\/think/.test(thought)),
        json,
        (thought, text) => {
          const verdict = check(`<think>${thought}</think>\n${text}`, true);
          expect(verdict).toMatchObject({ kind: "parsed", repairs: ["think_block"] });
          expect(verdict).toHaveProperty("parsedResponse", JSON.parse(text));
        },
      ),
    );
  });
});

describe("valid answers", () => {
  it("are never altered", () => {
    const schemas = fc.constantFrom<unknown>(
      true,
      {},
      { type: ["object", "array", "string", "number", "boolean", "null"] },
      { anyOf: [{ type: "array", items: true }, true] },
    );
    fc.assert(
      fc.property(json, schemas, (text, schema) => {
        const verdict = check(text, schema);
        expect(verdict).toMatchObject({ kind: "parsed", repairs: [] });
        expect(verdict).toHaveProperty("parsedResponse", JSON.parse(text));
      }),
    );
  });

  it("keep every value when a slip elsewhere is repaired", () => {
    fc.assert(
      fc.property(nested, fc.constantFrom(",", " ,\n", " /* end */", " // end\n"), (text, slip) => {
        const verdict = check(text.slice(0, -1) + slip + text.slice(-1));
        expect(verdict).toMatchObject({ kind: "parsed", repairs: ["repaired_json"] });
        expect(verdict).toHaveProperty("parsedResponse", JSON.parse(text));
      }),
      { numRuns: 300 },
    );
  });

  it("cut off anywhere are never completed", () => {
    fc.assert(
      fc.property(nested, fc.nat(), (text, at) => {
        const cut = text.trimEnd().slice(0, 1 + (at % (text.length - 1)));
        for (const schema of [true, null]) expect(check(cut, schema)).toMatchObject({ kind: "invalid" });
      }),
    );
  });
});

describe("any text and any schema", () => {
  it("give a verdict that Postgres can store", () => {
    const schema = fc.oneof(
      fc.constant(null),
      fc.anything({ withBigInt: true, withMap: true, withSparseArray: true }),
      fc.dictionary(
        fc.constantFrom("type", "properties", "items", "$ref", "pattern", "enum", "anyOf", "$schema", "not"),
        fc.oneof(fc.jsonValue(), fc.constantFrom("object", "array", "#", "(a+)+$")),
      ),
    );
    fc.assert(
      fc.property(noise, schema, (text, responseSchema) => {
        const verdict = check(text, responseSchema);
        expect(toStorableValue(verdict)).toBe(verdict);
        expect(verdict.response).toBe(toStorableText(text));
        if (verdict.kind !== "invalid") return;
        expect(verdict.errorMessage).toMatch(/^Malformed or invalid LLM response/);
        expect(verdict.validationErrors.length).toBeGreaterThan(0);
        for (const error of verdict.validationErrors) {
          if (error.type !== "json_decode_error") continue;
          expect(error.position).toBeGreaterThanOrEqual(0);
          expect(error.position).toBeLessThanOrEqual(verdict.response.length);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("the scanner and JSON.parse agree on what is JSON", () => {
    fc.assert(
      fc.property(noise, (text) => {
        const expected = parses(text);
        if (/1e999/.test(text)) return;
        expect(findJsonError(text, 0) === null).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  it("the scanner finds the end of every value", () => {
    fc.assert(
      fc.property(nested, prose, (text, after) => {
        expect(scanJson(text + after, 0)).toEqual({ kind: "complete", end: text.length });
      }),
    );
  });
});

describe("huge and hostile answers come to an end", () => {
  const megabyte = 1_000_000;
  it.each([
    ["{", 1],
    ["[", 1],
    ['{"', 2],
    ['{"a":', 5],
    ["{a:", 3],
    ['["', 2],
    ["[1,", 3],
    ["{]", 2],
    ['[{"a":1},]', 10],
    ["```a\n", 5],
    ["'[", 2],
    ["<think>", 7],
    ["{ ", 2],
    ['{"a" ', 5],
    ["\\", 1],
    ["/*[", 3],
    ['"   ', 4],
  ])("a megabyte of %s", (unit, length) => {
    const text = unit.repeat(megabyte / length);
    for (const answer of [text, `{"a":${text}x`]) {
      for (const schema of [true, null]) expect(check(answer, schema).response).toBe(answer);
    }
  });

  it("a valid megabyte is parsed", () => {
    const value = { items: Array.from({ length: 50_000 }, (_, index) => ({ index, name: "ä😀" })) };
    const text = `Here: ${JSON.stringify(value)} Done.`;
    expect(check(text, { type: "object", required: ["items"] })).toHaveProperty("parsedResponse", value);
  });
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
