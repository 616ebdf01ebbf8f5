import { describe, expect, it } from "vitest";
import { createSchemaValidator, schemaHash } from "../../src/answer/schema-validator.ts";
import { describeViolations, MAX_VIOLATIONS } from "../../src/answer/violations.ts";

const validator = createSchemaValidator();

function check(schema: unknown, value: unknown) {
  const compiled = validator.compile(schema);
  if (compiled.kind === "invalid_schema") return compiled;
  const result = compiled.check(value);
  return result.kind === "violations" ? describeViolations(result.errors, value) : result;
}

describe("compiling", () => {
  it("happens once per content, and the least used schema is forgotten", () => {
    const small = createSchemaValidator({ maxSchemas: 2 });
    const first = small.compile({ type: "string" });
    expect(small.compile({ type: "string" })).toBe(first);
    small.compile({ type: "number" });
    small.compile({ type: "array" });
    expect(small.compile({ type: "string" })).not.toBe(first);
    expect(schemaHash({ a: 1 })).toBe(schemaHash({ a: 1 }));
    expect(schemaHash(undefined)).toBeNull();
  });

  it("never throws, and says what is wrong with a schema", () => {
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    for (const bad of [null, undefined, 3, "x", [], () => 1, Symbol("x"), 3n, circular]) {
      expect(validator.compile(bad)).toMatchObject({ kind: "invalid_schema", field: "$" });
    }
    expect(validator.compile({ properties: { a: { type: "strange" } } })).toMatchObject({
      kind: "invalid_schema",
      field: "properties.a.type",
    });
    expect(validator.compile({ $ref: "https://example.com/other.json" })).toMatchObject({
      kind: "invalid_schema",
      message: expect.stringContaining("can't resolve reference"),
    });
    expect(validator.compile({ pattern: "(" })).toMatchObject({ kind: "invalid_schema" });
    expect(validator.compile({ $async: true })).toMatchObject({ kind: "invalid_schema" });
  });

  it("one schema's $id neither clashes with another's nor is reachable from it", () => {
    const named = (type: string) => ({
      $id: "https://x.test/a",
      $defs: { b: { $id: "https://x.test/b", type } },
    });
    expect(validator.compile(named("string")).kind).toBe("compiled");
    expect(validator.compile(named("number")).kind).toBe("compiled");
    expect(validator.compile({ $ref: "https://x.test/b" }).kind).toBe("invalid_schema");
  });
});

describe("checking", () => {
  it("follows 2020-12 by default and draft-07 by $schema", () => {
    const tuple = [{ type: "string" }, { type: "integer" }];
    const modern = { type: "array", prefixItems: tuple, items: false };
    const draft07 = {
      $schema: "http://json-schema.org/draft-07/schema#",
      definitions: { s: { type: "string" } },
      type: "array",
      items: [{ $ref: "#/definitions/s" }, { type: "integer" }],
      additionalItems: false,
    };
    for (const schema of [
      modern,
      { ...modern, $schema: "https://json-schema.org/draft/2020-12/schema" },
      draft07,
    ]) {
      expect(check(schema, ["a", 1])).toEqual({ kind: "valid" });
      expect(check(schema, ["a", "b"])).toMatchObject([{ field: "$[1]", message: "must be integer" }]);
      expect(check(schema, ["a", 1, 2])).toHaveLength(1);
    }
  });

  it("knows formats, and ignores unknown formats and keywords", () => {
    expect(check({ format: "email" }, "x")).toMatchObject([{ message: 'must match format "email"' }]);
    expect(check({ format: "shoe-size", discriminator: { propertyName: "a" }, example: 1 }, "x")).toEqual({
      kind: "valid",
    });
    expect(check({ type: "string", nullable: true }, null)).toEqual({ kind: "valid" });
  });

  it("names fields as a programmer would", () => {
    const schema = {
      properties: {
        list: { items: { properties: { "a/b c": { type: "string" } } } },
        "0": { type: "string" },
        mood: { enum: ["good", "bad"] },
        color: { const: "red" },
      },
      required: ["name"],
      additionalProperties: false,
    };
    const value = { list: [{}, { "a/b c": 1 }], "0": 1, mood: "so", color: "blue", extra: 1 };
    expect(check(schema, value)).toEqual(
      expect.arrayContaining([
        { type: "schema_violation", field: 'list[1]["a/b c"]', message: "must be string" },
        { type: "schema_violation", field: '$["0"]', message: "must be string" },
        { type: "schema_violation", field: "name", message: "must have required property 'name'" },
        { type: "schema_violation", field: "extra", message: "must NOT have additional properties" },
        {
          type: "schema_violation",
          field: "mood",
          message: 'must be equal to one of the allowed values: "good", "bad"',
        },
        { type: "schema_violation", field: "color", message: 'must be equal to constant: "red"' },
      ]),
    );
  });

  it("lists each violation once, and fifty at most", () => {
    const twice = { anyOf: [{ type: "string" }, { type: "string", minLength: 2 }] };
    expect(check(twice, 1)).toMatchObject([
      { field: "$", message: "must be string" },
      { field: "$", message: "must match a schema in anyOf" },
    ]);
    expect(check({ items: { type: "string" } }, Array(1000).fill(1))).toHaveLength(MAX_VIOLATIONS);
  });
});

it("a reference to itself is reported", () => {
  expect(check({ $ref: "#" }, 1)).toMatchObject({ kind: "invalid_schema" });
  expect(check({ anyOf: [{ $ref: "#" }] }, 1)).toMatchObject({ kind: "invalid_schema" });
});

it("a pattern may have escapes that a strict reading refuses, and code points", () => {
  expect(check({ pattern: "^[a-z]\\-[a-z]$" }, "a-b")).toEqual({ kind: "valid" });
  expect(check({ pattern: "^[a-z]\\-[a-z]$" }, "a+b")).toHaveLength(1);
  expect(check({ pattern: "^\\p{L}+$" }, "é")).toEqual({ kind: "valid" });
});
