import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { describe, expect, test } from "vitest";
import type { ChatTool, ProviderOutcome } from "../../src/providers/provider.ts";
import { createSimProvider } from "../../src/providers/sim.ts";
import type { SimBehaviour } from "../../src/providers/sim-behaviour.ts";
import { minimalValue } from "../../src/providers/sim-value.ts";
import { asAnswer, asError, providerRequest, type RequestParts, testProviders } from "./support.ts";

const TOOL: ChatTool = {
  type: "function",
  function: {
    name: "search",
    parameters: { type: "object", properties: { q: { type: "string" } }, required: ["q"] },
  },
};

function told(sim: SimBehaviour, parts: RequestParts = {}) {
  return providerRequest({
    kind: "sim",
    ...parts,
    settings: { ...parts.settings, provider_options: { sim } },
  });
}

/** Without the facts, which hold times. */
function essence(outcome: ProviderOutcome) {
  const { facts: _facts, ...rest } = outcome;
  return rest;
}

describe("without being told anything", () => {
  test("the last user message is echoed, always the same", async () => {
    const request = providerRequest({ kind: "sim" });
    const first = await createSimProvider().call(request);
    expect(asAnswer(first)).toMatchObject({ text: "You said: hello", finishReason: "stop", toolCalls: [] });
    expect(first.facts.usage).toMatchObject({ inputTokens: 2, outputTokens: 4 });
    expect(essence(await createSimProvider().call(request))).toEqual(essence(first));
  });

  test("offered tools are only called when the settings require it, and not again after their result", async () => {
    const sim = createSimProvider();
    expect(asAnswer(await sim.call(providerRequest({ kind: "sim", tools: [TOOL] }))).toolCalls).toEqual([]);
    const required = { kind: "sim", tools: [TOOL], settings: { tool_choice: "required" } } as const;
    const called = asAnswer(await sim.call(providerRequest({ ...required, tools: [TOOL] })));
    expect(called).toMatchObject({
      finishReason: "tool_calls",
      toolCalls: [{ id: "call_1", toolName: "search", params: { q: "sim" }, rawArguments: '{"q":"sim"}' }],
    });
    const after = providerRequest({
      ...required,
      tools: [TOOL],
      messages: [{ role: "tool", tool_call_id: "call_1", content: "42 hits" }],
    });
    expect(asAnswer(await sim.call(after))).toMatchObject({ text: "The tool said: 42 hits", toolCalls: [] });
  });

  test("it is found by the registry and needs no key", async () => {
    const providers = testProviders();
    const request = providerRequest({ kind: "sim" });
    asAnswer(await providers.for(request.model).call(request));
    await providers.close();
  });
});

describe("the minimal value is valid for the schema", () => {
  const schemas: Record<string, unknown>[] = [
    {
      type: "object",
      properties: { a: { type: "string", minLength: 5 }, b: { type: "integer", minimum: 3 } },
      required: ["a", "b"],
    },
    { type: "array", minItems: 2, items: { enum: ["x", "y"] } },
    { type: "number", exclusiveMinimum: 0, maximum: 0.5 },
    { type: "integer", maximum: -4, multipleOf: 3 },
    { type: ["null", "string"] },
    { anyOf: [{ type: "boolean" }, { type: "string" }] },
    {
      allOf: [{ type: "object", properties: { a: { const: 1 } }, required: ["a"] }, { $ref: "#/$defs/b" }],
      $defs: {
        b: { type: "object", properties: { b: { type: "string", format: "date-time" } }, required: ["b"] },
      },
    },
    { type: "object", properties: { next: { $ref: "#" }, v: { type: "number" } }, required: ["v"] },
    { type: "string", format: "email" },
    { type: "string", maxLength: 1 },
    {},
  ];
  test.each(schemas)("%j", (schema) => {
    const ajv = new Ajv2020({ strict: false });
    addFormats.default(ajv);
    const value = minimalValue(schema);
    expect([ajv.validate(schema, value), ajv.errors]).toEqual([true, null]);
  });

  test("a schema that requires itself for ever comes to an end", () => {
    expect(
      minimalValue({ type: "object", properties: { next: { $ref: "#" } }, required: ["next"] }),
    ).toBeTypeOf("object");
  });

  test("asked for JSON, it is the answer", async () => {
    const schema = { type: "object", properties: { n: { type: "integer" } }, required: ["n"] };
    const request = providerRequest({ kind: "sim", output: { kind: "json", mode: "json_schema", schema } });
    expect(asAnswer(await createSimProvider().call(request)).text).toBe('{"n":0}');
  });
});

describe("told how to behave", () => {
  test("text, json, finish reason, usage and tool calls are as told", async () => {
    const sim = createSimProvider();
    expect(asAnswer(await sim.call(told({ text: "as told", finish_reason: "length" })))).toMatchObject({
      text: "as told",
      finishReason: "length",
    });
    const json = await sim.call(told({ json: { a: [1] }, usage: { inputTokens: 9 } }));
    expect(asAnswer(json).text).toBe('{"a":[1]}');
    expect(json.facts.usage?.inputTokens).toBe(9);
    const calls = await sim.call(told({ tool_calls: [{ name: "x", params: "not an object" }] }));
    expect(asAnswer(calls).toolCalls).toMatchObject([{ toolName: "x", params: "not an object" }]);
  });

  test("the request's options lie over the model's", async () => {
    const request = told(
      { text: "from the request" },
      { model: { options: { sim: { text: "from the model" } } } },
    );
    expect(asAnswer(await createSimProvider().call(request)).text).toBe("from the request");
  });

  test("malformed answers look like JSON and are none", async () => {
    const sim = createSimProvider();
    for (const behaviour of [
      { malformed: true },
      { malformed: true, json: { a: 1 } },
      { malformed: "{oops" },
    ]) {
      const { text } = asAnswer(await sim.call(told(behaviour)));
      expect(text.startsWith("{")).toBe(true);
      expect(() => JSON.parse(text)).toThrow();
    }
  });

  test("answers come in turn for each request id, and the last one stays", async () => {
    const sim = createSimProvider();
    const behaviour: SimBehaviour = { answers: [{ error: { status: 503 } }, "second", { json: 3 }] };
    const seen = [];
    for (let call = 0; call < 4; call += 1) {
      const outcome = await sim.call(told(behaviour));
      seen.push(outcome.kind === "answer" ? outcome.text : outcome.errorClass);
    }
    expect(seen).toEqual(["capacity", "second", "3", "3"]);
    expect(asError(await sim.call(told(behaviour, { requestId: "another" }))).errorClass).toBe("capacity");
    expect(asError(await createSimProvider().call(told(behaviour))).errorClass).toBe("capacity");
  });

  test("an error goes through the table, and only the first calls fail when told so", async () => {
    const sim = createSimProvider();
    const behaviour: SimBehaviour = {
      error: { status: 429, message: "busy", retry_after_ms: 250, times: 2 },
    };
    for (let call = 0; call < 2; call += 1) {
      expect(asError(await sim.call(told(behaviour)))).toMatchObject({
        errorClass: "capacity",
        message: "busy",
        retryAfterMs: 250,
        facts: { statusCode: 429 },
      });
    }
    expect(asAnswer(await sim.call(told(behaviour))).text).toBe("You said: hello");
    expect(asError(await sim.call(told({ error: { class: "refused" } }))).errorClass).toBe("refused");
  });

  test("it takes as long as told, within the call's limits", async () => {
    const sim = createSimProvider();
    const outcome = await sim.call(told({ latency_ms: 30, jitter_ms: 10 }));
    expect(asAnswer(outcome).facts.latencyMs).toBeGreaterThanOrEqual(29);
    const late = asError(await sim.call(told({ latency_ms: 60_000 }, { timeouts: { totalMs: 20 } })));
    expect(late).toMatchObject({ errorClass: "transient", message: "no complete answer within 20 ms" });
  });

  test("an abort ends it at once", async () => {
    const abort = new AbortController();
    const running = createSimProvider().call(told({ latency_ms: 60_000 }, { signal: abort.signal }));
    abort.abort();
    expect(asError(await running).errorClass).toBe("aborted");
  });
});
