import { describe, expect, it } from "vitest";
import { type AnswerToCheck, checkAnswer } from "../../src/answer/check-answer.ts";
import { createSchemaValidator } from "../../src/answer/schema-validator.ts";

const validator = createSchemaValidator();

function check(text: string, given: Partial<AnswerToCheck> = {}) {
  return checkAnswer({ text, toolCalls: [], responseSchema: null, toolsOffered: [], validator, ...given });
}

const person = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};

const calls = {
  type: "object",
  properties: {
    tool_calls: {
      type: "array",
      items: {
        type: "object",
        properties: { id: { type: "string" }, tool_name: { type: "string" }, params: { type: "object" } },
        required: ["tool_name", "params"],
      },
    },
    final_response: { type: ["string", "null"] },
  },
  required: ["tool_calls"],
};

describe("without a schema", () => {
  it("prose is text", () => {
    expect(check("Hello {there}")).toEqual({ kind: "text", response: "Hello {there}" });
    expect(check("")).toEqual({ kind: "text", response: "" });
    expect(check('```json\n{"a": 1}\n```')).toMatchObject({ kind: "text" });
    expect(check("<think>[1]</think>Hello")).toMatchObject({ kind: "text" });
  });

  it("text that starts with a bracket is parsed, whatever stands before it invisibly", () => {
    for (const text of ['{"a":1}', ' \n{"a":1}\n', '\uFEFF{"a":1}']) {
      expect(check(text)).toEqual({
        kind: "parsed",
        response: text,
        parsedResponse: { a: 1 },
        repairs: [],
      });
    }
    expect(check('<think>so [1]</think>\n{"a":1}')).toMatchObject({
      parsedResponse: { a: 1 },
      repairs: ["think_block"],
    });
  });

  it("small slips are repaired", () => {
    expect(check("{'a': 1, b: [1, 2,],} // done")).toMatchObject({
      kind: "parsed",
      parsedResponse: { a: 1, b: [1, 2] },
    });
    expect(check('{"a": True, "b": None}')).toMatchObject({
      parsedResponse: { a: true, b: null },
      repairs: ["repaired_json"],
    });
    expect(check('{"a": "kept0;" + "x",}')).toMatchObject({ parsedResponse: { a: "kept0;x" } });
    expect(check('{"a":["["],}')).toMatchObject({ parsedResponse: { a: ["["] } });
    expect(check('{"a": "5" tall"}')).toMatchObject({ parsedResponse: { a: '5" tall' } });
    expect(check('{"a": "x"\n "b": {"c": 1}}')).toMatchObject({ parsedResponse: { a: "x", b: { c: 1 } } });
  });

  it("prose behind the JSON is cut off, more JSON is not", () => {
    expect(check('{"a":1}\n\nHope this helps!')).toMatchObject({
      parsedResponse: { a: 1 },
      repairs: ["extracted_json"],
    });
    expect(check('{"a":1}\n{"b":2}')).toMatchObject({
      parsedResponse: [{ a: 1 }, { b: 2 }],
      repairs: ["repaired_json"],
    });
    expect(check('{"a":1} or else {"b":2}')).toMatchObject({ kind: "invalid" });
    expect(check("[1] Smith et al.")).toMatchObject({ kind: "invalid" });
    expect(check("[Note] I cannot do this.")).toMatchObject({ kind: "invalid" });
  });

  it("a broken one fails with position and preview, and keeps the raw text", () => {
    const text = `  {"a": 1, "b": oops oops${"x".repeat(200)}`;
    expect(check(text)).toEqual({
      kind: "invalid",
      errorMessage: expect.stringMatching(/^Malformed or invalid LLM response: /),
      response: text,
      parsedResponse: null,
      validationErrors: [
        {
          type: "json_decode_error",
          error: expect.stringContaining('Unexpected token "o"'),
          position: 16,
          response_preview: text.slice(0, 100),
        },
      ],
      repairs: [],
    });
  });

  it.each([
    ['{"tool_calls": [{"id": "1", "tool', 33],
    ['{"a": ', 6],
    ['{"items": [{"id": 1}, {"id": 2}, {"id":', 39],
    ['{"a": {"b": 1}', 14],
    ["{", 1],
    ["{invalid json", 1],
    ["{not json}", 1],
    ['{"a": 1, "b": }', 14],
    ["[1, 2, ...]", 7],
    ["{'a': 'it's'}", 1],
    ['{"a": tr', 8],
    ['{"a": "\\u00', 11],
    ["[1e999]", 1],
  ])("nothing is invented for %s", (text, position) => {
    expect(check(text)).toMatchObject({
      kind: "invalid",
      parsedResponse: null,
      validationErrors: [{ type: "json_decode_error", position }],
    });
  });

  it("the preview never ends in half a character", () => {
    const verdict = check(`{${"😀".repeat(200)}`);
    expect(verdict).toMatchObject({ validationErrors: [{ response_preview: `{${"😀".repeat(99)}` }] });
  });
});

describe("with a schema", () => {
  const ada = { name: "Ada", age: 36 };

  it.each([
    ['{"name": "Ada", "age": 36}', []],
    ['```json\n{"name": "Ada", "age": 36}\n```', ["code_fence"]],
    ['Here:\n```\n{"name": "Ada", "age": 36}\n```\nFine?', ["code_fence"]],
    ['Sure [1], here: {"name": "Ada", "age": 36}.', ["extracted_json"]],
    ['<think>{"name": "Bob", "age": 1}</think>{"name": "Ada", "age": 36}', ["think_block"]],
    ['I think {"x"...</think>{"name": "Ada", "age": 36}', ["think_block"]],
    [
      "<think>hm</think>\n```json\n{name: 'Ada', age: 36}\n```",
      ["think_block", "code_fence", "repaired_json"],
    ],
    ['An example is {"a long example": "0123456789"}. {"name": "Ada", "age": 36}', ["extracted_json"]],
    ['{"name": "Ada", "age": "36"}', ["coerced"]],
    [
      'Range [0, 1) is open. {"name": "Ada", "age": 36}'.replace("[0, 1) is open. ", "[a, b) "),
      ["extracted_json"],
    ],
    ['{"name": "Ada", "age": 36} in the range [0, 1)', ["extracted_json"]],
    ['Use { for it: {"name": "Ada", "age": 36}', ["extracted_json"]],
  ])("%s is read", (text, repairs) => {
    expect(check(text, { responseSchema: person })).toEqual({
      kind: "parsed",
      response: text,
      parsedResponse: ada,
      repairs,
    });
  });

  it("every violation is listed, in our paths and ajv's words", () => {
    const verdict = check(
      '{"tool_calls": [{"id": "1", "tool_name": "f", "params": "none"}, {"params": {}}]}',
      {
        responseSchema: calls,
      },
    );
    expect(verdict).toMatchObject({
      kind: "invalid",
      errorMessage: "Malformed or invalid LLM response: tool_calls[0].params must be object (and 1 more)",
      parsedResponse: { tool_calls: [{ id: "1", tool_name: "f", params: "none" }, { params: {} }] },
    });
    expect(verdict).toHaveProperty("validationErrors", [
      { type: "schema_violation", field: "tool_calls[0].params", message: "must be object" },
      {
        type: "schema_violation",
        field: "tool_calls[1].tool_name",
        message: "must have required property 'tool_name'",
      },
    ]);
  });

  it("an answer without JSON, cut off, or still thinking is a decode error", () => {
    expect(check("I don't know.", { responseSchema: person })).toMatchObject({
      validationErrors: [{ type: "json_decode_error", position: 0 }],
    });
    expect(check("", { responseSchema: person })).toMatchObject({
      validationErrors: [{ error: "Unexpected end of JSON input", position: 0, response_preview: "" }],
    });
    const thinking = '<think>maybe {"name": "Ada", "age": 36}';
    expect(check(thinking, { responseSchema: person })).toMatchObject({
      validationErrors: [{ type: "json_decode_error", position: thinking.length }],
    });
    const cut = 'Like {"name": "Ex", "age": 1}: {"name": "Ada", "ag';
    expect(check(cut, { responseSchema: person })).toMatchObject({
      validationErrors: [{ type: "json_decode_error", position: cut.length }],
    });
  });

  it("scalars are read where the schema wants them", () => {
    expect(check(" 42 ", { responseSchema: { type: "integer" } })).toMatchObject({ parsedResponse: 42 });
    expect(check('```\n"yes"\n```', { responseSchema: { type: "string" } })).toMatchObject({
      parsedResponse: "yes",
    });
    expect(check("true", { responseSchema: true })).toMatchObject({ parsedResponse: true });
    expect(check("true", { responseSchema: false })).toMatchObject({
      validationErrors: [{ field: "$", message: "boolean schema is false" }],
    });
  });

  it("an invalid schema is reported as such", () => {
    for (const responseSchema of [{ type: "objekt" }, 7, "x", [], { $ref: "https://example.com/x.json" }]) {
      const verdict = check("{}", { responseSchema });
      expect(verdict).toMatchObject({
        kind: "invalid",
        errorMessage: expect.stringMatching(/^Malformed or invalid LLM response/),
        validationErrors: [{ type: "invalid_schema" }],
      });
    }
  });
});

describe("what Postgres cannot store", () => {
  it("is removed from text, values and previews", () => {
    expect(check("a\u0000b\ud800")).toEqual({ kind: "text", response: "ab\ufffd" });
    expect(check('{"a\\u0000": "\\ud800", "b": "\\ud83d\\ude00"}')).toMatchObject({
      parsedResponse: { a: "\ufffd", b: "😀" },
    });
    expect(check("{\u0000\udc00", {})).toMatchObject({ validationErrors: [{ response_preview: "{\ufffd" }] });
  });
});
