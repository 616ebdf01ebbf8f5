import { describe, expect, it } from "vitest";
import { isWorthReasking, MAX_QUOTED_ANSWER, reaskMessages } from "../../src/answer/reask.ts";
import type { ChatMessage } from "../../src/providers/provider.ts";

const messages: ChatMessage[] = [{ role: "user", content: "Who?" }];
const violation = { type: "schema_violation", field: "age", message: "must be integer" } as const;

describe("asking again", () => {
  it("shows the last answer and its errors behind the original conversation", () => {
    const again = reaskMessages({ messages, lastAnswer: '{"age": "x"}', validationErrors: [violation] });
    expect(again).toEqual([
      { role: "user", content: "Who?" },
      { role: "assistant", content: '{"age": "x"}' },
      { role: "user", content: expect.stringContaining("- age must be integer") },
    ]);
    expect(messages).toHaveLength(1);
  });

  it("tells where JSON broke, and a limited number of errors", () => {
    const decode = { type: "json_decode_error", error: "Oops", position: 7, response_preview: "" } as const;
    const told = reaskMessages({ messages, lastAnswer: "x", validationErrors: [decode] });
    expect(told[2]?.content).toContain("not valid JSON: Oops (at character 7)");
    const many = reaskMessages({ messages, lastAnswer: "x", validationErrors: Array(50).fill(violation) });
    expect(many[2]?.content).toContain("- and 30 more of this kind");
  });

  it("caps a long answer, and never sends an empty one", () => {
    const long = reaskMessages({ messages, lastAnswer: "😀".repeat(100_000), validationErrors: [] });
    const quoted = long[1]?.content as string;
    expect(quoted.length).toBeLessThan(MAX_QUOTED_ANSWER + 100);
    expect(quoted).toContain("characters left out");
    expect(quoted.isWellFormed()).toBe(true);
    const empty = reaskMessages({ messages, lastAnswer: " \n", validationErrors: [] });
    expect(empty[1]?.content).toBe("(empty answer)");
  });

  it("is pointless when the schema is at fault", () => {
    expect(isWorthReasking([violation])).toBe(true);
    expect(isWorthReasking([{ type: "invalid_schema", field: "$", message: "no" }])).toBe(false);
  });
});
