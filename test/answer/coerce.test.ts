import { describe, expect, it } from "vitest";
import { checkValue } from "../../src/answer/check-value.ts";
import { createSchemaValidator } from "../../src/answer/schema-validator.ts";

const validator = createSchemaValidator();
const number = { type: "number" };
const integer = { type: "integer" };

function check(value: unknown, schema: unknown) {
  return checkValue(value, validator.compile(schema));
}

describe("gentle coercion", () => {
  it.each([
    ["3", integer, 3],
    [" -2.5e1 ", number, -25],
    ["9007199254740991", integer, 9007199254740991],
    ["true", { type: "boolean" }, true],
    ["False", { type: "boolean" }, false],
    ["a", { type: "array", items: { type: "string" } }, ["a"]],
    ["3", { type: "array", items: integer }, [3]],
    ["[1, 2]", { type: "array", items: integer }, [1, 2]],
    [{ a: 1 }, { type: "array" }, [{ a: 1 }]],
    ['{"a": "3"}', { type: "object", properties: { a: integer } }, { a: 3 }],
    ["3", { type: ["integer", "null"] }, 3],
    ["3", { anyOf: [{ type: "null" }, integer] }, 3],
    [
      { "a/b": { "": "3" } },
      { properties: { "a/b": { properties: { "": integer } } } },
      { "a/b": { "": 3 } },
    ],
  ])("%j becomes what the schema %j wants", (value, schema, wanted) => {
    const before = structuredClone(value);
    expect(check(value, schema)).toEqual({ value: wanted, errors: [], repairs: ["coerced"] });
    expect(value).toEqual(before);
  });

  it.each([
    [null, integer],
    [null, { type: "string" }],
    [null, { type: "array" }],
    ["", integer],
    ["", { type: "null" }],
    ["", { type: "array", items: { type: "string" } }],
    [3, { type: "string" }],
    [1, { type: "boolean" }],
    ["yes", { type: "boolean" }],
    ["3.5", integer],
    ["0x10", integer],
    ["3 apples", integer],
    ["12345678901234567890", integer],
    ["9007199254740991.4", integer],
    ["1e-400", number],
    ["1e999", number],
    [[3], integer],
    ["none", { type: "object" }],
    ["[1]", { type: "object" }],
    [{ a: "3", b: "x" }, { properties: { a: integer, b: integer } }],
  ])("%j stays and breaks the schema %j", (value, schema) => {
    const checked = check(value, schema);
    expect(checked.value).toBe(value);
    expect(checked.repairs).toEqual([]);
    expect(checked.errors.length).toBeGreaterThan(0);
  });

  it("an own key named __proto__ is data", () => {
    const value: unknown = JSON.parse('{"__proto__": {"a": "3"}}');
    const schema: unknown = JSON.parse(
      '{"additionalProperties": {"type": "object", "properties": {"a": {"type": "integer"}}}}',
    );
    const checked = check(value, schema);
    expect(JSON.stringify(checked.value)).toMatch(/^\{"__proto__":\{"a":"?3"?\}\}$/);
    expect(({} as Record<string, unknown>).a).toBeUndefined();
  });
});
