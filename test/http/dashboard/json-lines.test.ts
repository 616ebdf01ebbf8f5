import { Ajv } from "ajv";
import { expect, test } from "vitest";
import { describeViolations } from "../../../src/answer/violations.ts";
import { jsonLines } from "../../../web/src/components/json-lines.ts";

/** The text of each line, with the messages of what is wrong there. */
function marked(value: unknown, schema: object): string[] {
  const ajv = new Ajv({ allErrors: true, strict: false });
  const check = ajv.compile(schema);
  check(value);
  const problems = describeViolations(check.errors ?? [], value).map((error) => ({
    type: error.type,
    field: "field" in error ? error.field : null,
    message: "message" in error ? error.message : "",
    position: null,
  }));
  return jsonLines(value, problems).map(({ indent, key, text, comma, problems: here }) =>
    [
      `${"  ".repeat(indent)}${key === null ? "" : `${JSON.stringify(key)}: `}${text}${comma}`,
      ...here.map((index) => problems[index]?.message),
    ].join(" <- "),
  );
}

test("every violation stands at its place, a missing property where it would be", () => {
  const schema = {
    type: "object",
    required: ["total"],
    additionalProperties: false,
    properties: {
      total: { type: "number" },
      lines: {
        type: "array",
        items: { type: "object", required: ["a key"], properties: { n: { type: "number" } } },
      },
    },
  };
  expect(marked({ lines: [{ n: "1", "a key": 1 }, {}], more: [] }, schema)).toEqual([
    "{",
    '  "lines": [',
    "    {",
    '      "n": "1", <- must be number',
    '      "a key": 1',
    "    },",
    "    {",
    "      \"a key\": absent <- must have required property 'a key'",
    "    }",
    "  ],",
    '  "more": [] <- must NOT have additional properties',
    "  \"total\": absent <- must have required property 'total'",
    "}",
  ]);
});

test("keys that look like paths, indexes and escapes are told apart", () => {
  const value = { "a.b": 1, "0": 2, "x/y~z": 3, list: [4] };
  const properties = Object.fromEntries(Object.keys(value).map((key) => [key, { type: "string" }]));
  const lines = marked(value, { properties: { ...properties, list: { items: { type: "string" } } } });
  expect(lines.filter((line) => line.includes("<-"))).toEqual([
    '  "0": 2, <- must be string',
    '  "a.b": 1, <- must be string',
    '  "x/y~z": 3, <- must be string',
    "    4 <- must be string",
  ]);
});

test("what is wrong with the whole, or has no place, stands at the first line", () => {
  expect(marked(7, { type: "object" })).toEqual(["7 <- must be object"]);
  const lost = { type: "schema_violation", field: "gone.deep", message: "lost", position: null };
  expect(jsonLines({ a: 1 }, [lost])[0]?.problems).toEqual([0]);
});
