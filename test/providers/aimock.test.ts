/** The same conversation against somebody else's idea of the three wire formats. */
import { LLMock } from "@copilotkit/aimock";
import { afterAll, beforeAll, expect, test } from "vitest";
import { asAnswer, asError, callOnce } from "./support.ts";

const mock = new LLMock({ port: 0 });
beforeAll(async () => {
  mock.onMessage("hello", { content: "Hi there!" });
  mock.onMessage("weather", { toolCalls: [{ name: "weather", arguments: '{"city":"Oslo"}' }] });
  mock.onMessage("overload", { error: { message: "Rate limited", type: "rate_limit_error" }, status: 429 });
  await mock.start();
});
afterAll(() => mock.stop());

const KINDS = [
  ["openai", "/v1", "gpt-4o"],
  ["openai-compatible", "/v1", "some-model"],
  ["anthropic", "/v1", "claude-sonnet-4-5"],
  ["google", "/v1beta", "gemini-2.5-flash"],
] as const;

test.each(KINDS)(
  "%s: text, a tool call and a rate limit come out in the one shape",
  async (kind, path, modelId) => {
    const ask = (content: string) =>
      callOnce({
        kind,
        baseUrl: `${mock.url}${path}`,
        model: { modelId },
        messages: [{ role: "user", content }],
        tools: [
          { type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } },
        ],
      });
    expect(asAnswer(await ask("hello"))).toMatchObject({ text: "Hi there!", finishReason: "stop" });
    expect(asAnswer(await ask("weather"))).toMatchObject({
      finishReason: "tool_calls",
      toolCalls: [{ toolName: "weather", params: { city: "Oslo" } }],
    });
    expect(asError(await ask("overload"))).toMatchObject({
      errorClass: "capacity",
      facts: { statusCode: 429 },
    });
  },
);
