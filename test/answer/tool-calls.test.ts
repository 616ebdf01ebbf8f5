import { describe, expect, it } from "vitest";
import { type AnswerToCheck, checkAnswer } from "../../src/answer/check-answer.ts";
import { createSchemaValidator } from "../../src/answer/schema-validator.ts";
import type { NativeToolCall } from "../../src/answer/tool-calls.ts";
import type { ChatTool } from "../../src/providers/provider.ts";

const validator = createSchemaValidator();
const weather: ChatTool = {
  type: "function",
  function: {
    name: "weather",
    parameters: {
      type: "object",
      properties: { city: { type: "string" }, days: { type: "integer" } },
      required: ["city"],
    },
  },
};

function call(params: unknown, rawArguments = "", id = "c1", toolName = "weather"): NativeToolCall {
  return { id, toolName, params, rawArguments };
}

function check(given: Partial<AnswerToCheck>) {
  return checkAnswer({
    text: "",
    toolCalls: [],
    responseSchema: null,
    toolsOffered: [weather],
    validator,
    ...given,
  });
}

describe("native tool calls", () => {
  it("come in the one shape, with the text as final_response", () => {
    expect(check({ toolCalls: [call({ city: "Rome" })], text: "Looking." })).toEqual({
      kind: "parsed",
      response: "Looking.",
      parsedResponse: {
        tool_calls: [{ id: "c1", tool_name: "weather", params: { city: "Rome" } }],
        final_response: "Looking.",
      },
      repairs: [],
    });
  });

  it("are not held against the response schema", () => {
    const verdict = check({ toolCalls: [call({ city: "Rome" })], responseSchema: { type: "string" } });
    expect(verdict).toMatchObject({ kind: "parsed", parsedResponse: { final_response: null } });
  });

  it("get an id of their own where it is missing or repeated", () => {
    const ids = ["", "x", "x", "call_0"].map((id) => call({ city: "Rome" }, "", id));
    expect(check({ toolCalls: ids })).toMatchObject({
      parsedResponse: { tool_calls: [{ id: "call_0_2" }, { id: "x" }, { id: "call_2" }, { id: "call_0" }] },
    });
  });

  it("have their arguments repaired and coerced", () => {
    expect(check({ toolCalls: [call(undefined, "{city: 'Rome', days: '3'}")] })).toMatchObject({
      kind: "parsed",
      parsedResponse: { tool_calls: [{ params: { city: "Rome", days: 3 } }] },
      repairs: ["repaired_json", "coerced"],
    });
    expect(check({ toolCalls: [call(undefined, "")], toolsOffered: [] })).toMatchObject({
      parsedResponse: { tool_calls: [{ params: {} }] },
    });
  });

  it.each(['"Rome"', "Rome", '{"city": "Ro', "[1]", "null"])("arguments %s are a violation", (raw) => {
    expect(check({ toolCalls: [call({ city: "Rome" }), call(undefined, raw, "c2")] })).toMatchObject({
      kind: "invalid",
      validationErrors: [
        { type: "schema_violation", field: "tool_calls[1].params", message: "must be object" },
      ],
    });
  });

  it("must fit the parameters of their tool, which must have been offered", () => {
    expect(check({ toolCalls: [call({ days: "many" }), call({}, "", "c2", "rockets")] })).toMatchObject({
      kind: "invalid",
      validationErrors: [
        { field: "tool_calls[0].params.city", message: "must have required property 'city'" },
        { field: "tool_calls[0].params.days", message: "must be integer" },
        { field: "tool_calls[1].tool_name", message: "must be one of the tools offered: weather" },
      ],
    });
  });
});

describe("tool calls written as JSON", () => {
  it.each([
    '{"tool_calls":[{"id":"1","tool_name":"weather","params":{"city":"Rome"}}]}',
    '{"tool_calls":[{"id":1,"name":"weather","arguments":{"city":"Rome"}}]}',
    '{"tool_calls":[{"id":"1","name":"weather","arguments":"{\\"city\\":\\"Rome\\"}"}],"final_response":null}',
    '{"tool_calls":[{"id":"1","type":"function","function":{"name":"weather","arguments":"{\\"city\\":\\"Rome\\"}"}}]}',
    '{"tool_calls":[{"id":"1","name":"weather","input":{"city":"Rome"}}]}',
  ])("%s ends in the native shape", (text) => {
    expect(check({ text })).toMatchObject({
      kind: "parsed",
      parsedResponse: {
        tool_calls: [{ id: "1", tool_name: "weather", params: { city: "Rome" } }],
        final_response: null,
      },
    });
  });

  it("keep the fields a schema gave them, and are checked as written", () => {
    const responseSchema = {
      type: "object",
      properties: {
        tool_calls: { type: "array", items: { type: "object", required: ["name", "why"] } },
        mood: { type: "string" },
      },
      required: ["mood"],
    };
    const text = '{"mood":"calm","tool_calls":[{"name":"f","why":"w"}],"final_response":{"x":1}}';
    expect(check({ text, responseSchema })).toEqual({
      kind: "parsed",
      response: text,
      parsedResponse: {
        mood: "calm",
        tool_calls: [{ id: "call_0", tool_name: "f", params: {}, why: "w" }],
        final_response: { x: 1 },
      },
      repairs: [],
    });
  });

  it("without a schema need an object as params, too", () => {
    const text = '{"tool_calls":[{"id":"1","tool_name":"weather","params":"Rome"}]}';
    expect(check({ text })).toMatchObject({
      kind: "invalid",
      validationErrors: [{ field: "tool_calls[0].params", message: "must be object" }],
    });
  });

  it("that name no tool are none, where tools were offered and no schema says otherwise", () => {
    const text = '{"tool_calls":[{"id":"1","tool_name":"weather","params":{"city":"Rome"}},{"x":1},3]}';
    const validationErrors = [
      { field: "tool_calls[1].tool_name", message: "must have required property 'tool_name'" },
      { field: "tool_calls[2]", message: "must be object" },
    ];
    expect(check({ text, toolsOffered: [weather] })).toMatchObject({ kind: "invalid", validationErrors });
    expect(check({ text, toolsOffered: [weather], responseSchema: true })).toMatchObject({ kind: "parsed" });
  });

  it("are left alone where they are something else", () => {
    for (const text of ['{"tool_calls":3}', '[{"name":"f"}]']) {
      expect(check({ text })).toMatchObject({ kind: "parsed", parsedResponse: JSON.parse(text) });
    }
    const text = '{"tool_calls":[{"x":1}]}';
    expect(check({ text, toolsOffered: [] })).toMatchObject({ parsedResponse: JSON.parse(text) });
  });
});
