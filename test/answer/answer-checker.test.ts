import { describe, expect, it } from "vitest";
import type { AnswerVerdict } from "../../src/answer/answer.ts";
import { createAnswerChecker } from "../../src/answer/answer-checker.ts";
import type { ChatTool } from "../../src/providers/provider.ts";

const none = { toolCalls: [], toolsOffered: [] as ChatTool[], responseSchema: null as unknown };
const slow = { type: "object", properties: { a: { pattern: "^(a+)+$" } } };
const slowAnswer = JSON.stringify({ a: `${"a".repeat(60)}!` });

/** Doubles at each level, and collects as many errors. */
function doubling(levels: number) {
  const $defs: Record<string, unknown> = { [`d${levels}`]: { type: "string" } };
  for (let level = 0; level < levels; level += 1) {
    const $ref = `#/$defs/d${level + 1}`;
    $defs[`d${level}`] = { dependentSchemas: { a: { $ref } }, $ref };
  }
  return { $defs, $ref: "#/$defs/d0" };
}

const givenUp = {
  kind: "invalid",
  validationErrors: [{ type: "invalid_schema", field: "$", message: "takes too long to check this answer" }],
};

/** That the loop ran meanwhile: how often it came round. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 5);
  await work;
  clearInterval(timer);
  return turns;
}

describe("an answer whose check would take for ever", () => {
  it.each([
    ["a pattern that backtracks", slow, slowAnswer],
    ["references that double", doubling(40), '{"a": 1}'],
    ["more errors than there is memory for", doubling(28), '{"a": 1}'],
    [
      "items that must all differ",
      { items: { type: "object" }, uniqueItems: true },
      JSON.stringify(Array.from({ length: 60_000 }, (_, n) => ({ n, list: [n, { n }] }))),
    ],
  ])("is given up, and nothing else waits: %s", async (_name, responseSchema, text) => {
    const checker = createAnswerChecker({ limitMs: 500, memoryMb: 64 });
    let verdict: AnswerVerdict | undefined;
    const turns = await turnsDuring(
      checker.check({ ...none, text, responseSchema }).then((one) => {
        verdict = one;
      }),
    );
    expect(verdict).toMatchObject(givenUp);
    expect(turns).toBeGreaterThan(5);
    // The next answer, of another schema that needs a thread, is checked as ever.
    const other = { type: "object", properties: { b: { pattern: "^b+$" } } };
    expect(await checker.check({ ...none, text: '{"b": "bb"}', responseSchema: other })).toMatchObject({
      kind: "parsed",
      parsedResponse: { b: "bb" },
    });
  });

  it("costs its schema two tries; a good answer before that is checked", async () => {
    const checker = createAnswerChecker({ limitMs: 500 });
    const check = (text: string) => checker.check({ ...none, text, responseSchema: slow });
    expect(await check(slowAnswer)).toMatchObject(givenUp);
    expect(await check('{"a": "aaa"}')).toMatchObject({ kind: "parsed" });
    const schemas = { responseSchema: slow, toolsOffered: [] };
    expect(await checker.faultOf(schemas)).toBeNull();
    expect(await check(slowAnswer)).toMatchObject(givenUp);
    expect(await check('{"a": "aaa"}')).toMatchObject(givenUp);
    expect(await checker.faultOf(schemas)).toMatchObject({ message: "takes too long to check" });
  });

  it("a hundred of them at once end, and the others among them are checked", async () => {
    const checker = createAnswerChecker({ limitMs: 300 });
    const verdicts = await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        n % 2 === 0
          ? checker.check({ ...none, text: slowAnswer, responseSchema: slow })
          : checker.check({
              ...none,
              text: `{"n": ${n}}`,
              responseSchema: { $ref: "#/$defs/a", $defs: { a: {} } },
            }),
      ),
    );
    verdicts.forEach((verdict, n) => {
      expect(verdict).toMatchObject(n % 2 === 0 ? givenUp : { kind: "parsed", parsedResponse: { n } });
    });
  });
});

describe("in a thread or not, the verdict is the same", () => {
  const person = { type: "object", properties: { age: { type: "integer" } }, required: ["age"] };
  const tool: ChatTool = { type: "function", function: { name: "look", parameters: person } };
  const inThread = { ...person, $defs: { unused: { $ref: "#" } } };
  const threadTool: ChatTool = { type: "function", function: { name: "look", parameters: inThread } };

  it.each([
    ["fits", '{"age": 3}'],
    ["coerced", '{"age": "3"}'],
    ["broken", '{"age": "many"}'],
    ["no JSON", "I do not know"],
    ["repaired", "```json\n{age: 3,}\n```"],
    ["not storable", '{"age": 3, "a\\u0000": "\\ud800"}'],
  ])("%s", async (_name, text) => {
    const checker = createAnswerChecker();
    const verdict = await checker.check({ ...none, text, responseSchema: person });
    expect(await checker.check({ ...none, text, responseSchema: inThread })).toEqual(verdict);
    const toolCalls = [{ id: "c", toolName: "look", params: null, rawArguments: text }];
    const called = await checker.check({ ...none, text: "", toolCalls, toolsOffered: [tool] });
    expect(await checker.check({ ...none, text: "", toolCalls, toolsOffered: [threadTool] })).toEqual(called);
  });
});

describe("faultOf", () => {
  const checker = createAnswerChecker();
  const tool = (parameters: Record<string, unknown>): ChatTool => ({
    type: "function",
    function: { name: "look", parameters },
  });

  it.each([
    ["type", { type: "objekt" }, "response_schema.type"],
    ["a pattern", { pattern: "(" }, "response_schema"],
    ["a missing reference", { $ref: "#/$defs/missing" }, "response_schema"],
    ["no schema at all", 7, "response_schema"],
  ])("names what cannot be used: %s", async (_name, responseSchema, field) => {
    for (let time = 0; time < 2; time += 1) {
      expect(await checker.faultOf({ responseSchema, toolsOffered: [] })).toMatchObject({ field });
    }
  });

  it("also of a tool, and nothing where all is well", async () => {
    const toolsOffered = [tool({ type: "object" }), tool({ $ref: "#/$defs/missing" })];
    expect(await checker.faultOf({ responseSchema: null, toolsOffered })).toMatchObject({
      field: "tools[1].function.parameters",
    });
    expect(await checker.faultOf({ responseSchema: true, toolsOffered: [tool({})] })).toBeNull();
    expect(await checker.faultOf({ responseSchema: slow, toolsOffered: [] })).toBeNull();
  });
});
