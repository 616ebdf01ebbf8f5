import { expect, it } from "vitest";
import { createAnswerChecker } from "../src/answer/answer-checker.ts";
import { withExactIntegers } from "../src/exact-integers.ts";

const checker = createAnswerChecker();
const none = { toolCalls: [], toolsOffered: [], responseSchema: true as unknown };

async function stored(given: Partial<Parameters<typeof checker.check>[0]>): Promise<string> {
  const verdict = await checker.check({ ...none, text: "", ...given });
  if (verdict.kind === "text") throw new Error("no JSON");
  return JSON.stringify(verdict.parsedResponse);
}

it.each([
  ['{"id":1234567890123456789}'],
  ['{"id":-1234567890123456789,"n":[12345678901234567890123456789012345678901234567890]}'],
  // Both are the same number to JavaScript.
  ['[1234567890123456789,{"a":1234567890123456790},1234567890123456788]'],
  ['{"said":"1234567890123456790","id":1234567890123456789}'],
  ['{"__proto__":1234567890123456789}'],
  ['{"small":1,"exact":9007199254740991,"half":0.25,"id":9007199254740993}'],
])("integers of an answer are stored in full: %s", async (text) => {
  expect(await stored({ text })).toBe(text);
});

it("also those of a text that was repaired, or stands in a code fence", async () => {
  expect(await stored({ text: "Here:\n```json\n{id: 1234567890123456789,}\n```" })).toBe(
    '{"id":1234567890123456789}',
  );
});

it("also in a thread, and beside a coerced value", async () => {
  const responseSchema = {
    type: "object",
    properties: { n: { type: "integer" } },
    $defs: { a: { $ref: "#" } },
  };
  expect(await stored({ text: '{"n": "3", "id": 1234567890123456789}', responseSchema })).toBe(
    '{"n":3,"id":1234567890123456789}',
  );
});

it("also those of tool calls, native or written", async () => {
  const call = { id: "c", toolName: "look", params: null };
  const toolCalls = ["789", "790"].map((end) => ({
    ...call,
    rawArguments: `{"id": 1234567890123456${end}}`,
  }));
  const written = await stored({ toolCalls: toolCalls.map((one, n) => ({ ...one, id: `c${n}` })) });
  expect(written).toContain('"params":{"id":1234567890123456789}');
  expect(written).toContain('"params":{"id":1234567890123456790}');
  const text = '{"tool_calls":[{"name":"look","arguments":"{\\"id\\": 1234567890123456789}"}]}';
  expect(await stored({ text, responseSchema: null })).toContain('"params":{"id":1234567890123456789}');
});

it("what the text does not have is left as it is", () => {
  expect(withExactIntegers({ id: 1e20 }, '{"id": 1e20, "other": 1234567890123456789}')).toEqual({ id: 1e20 });
  const value = { a: 1 };
  expect(withExactIntegers(value, '{"a": 1}')).toBe(value);
});
