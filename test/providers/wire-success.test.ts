import { afterEach, describe, expect, test } from "vitest";
import type { ChatTool, ProviderKind } from "../../src/providers/provider.ts";
import { createProviders } from "../../src/providers/registry.ts";
import {
  asAnswer,
  callOnce,
  providerRequest,
  type RequestParts,
  startConstant,
  TEST_KEY,
  type TestServer,
  WIRE,
} from "./support.ts";

const WEATHER: ChatTool = {
  type: "function",
  function: {
    name: "weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const SCHEMA = {
  type: "object",
  properties: { n: { type: "integer" } },
  required: ["n"],
  additionalProperties: false,
};
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const REAL_KINDS = ["openai", "openai-compatible", "anthropic", "google"] as const;
const TEXT_BODY: Record<string, unknown> = {
  openai: WIRE.openai(),
  "openai-compatible": WIRE.openai(),
  anthropic: WIRE.anthropic(),
  google: WIRE.google(),
};
const TOOL_BODY: Record<string, unknown> = {
  openai: openaiToolCall("weather", '{"city":"Oslo"}'),
  "openai-compatible": openaiToolCall("weather", '{"city":"Oslo"}'),
  anthropic: WIRE.anthropic(
    [{ type: "tool_use", id: "call_1", name: "weather", input: { city: "Oslo" } }],
    "tool_use",
  ),
  google: WIRE.google([{ functionCall: { id: "call_1", name: "weather", args: { city: "Oslo" } } }]),
};

let server: TestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

function openaiToolCall(name: string, args: string) {
  const call = { id: "call_1", type: "function", function: { name, arguments: args } };
  return WIRE.openai({ content: null, tool_calls: [call] }, "tool_calls");
}

/** Calls a server that answers `body`, and returns the outcome and what the server got. */
async function exchange(kind: ProviderKind, body: unknown, parts: RequestParts = {}, headers = {}) {
  server = await startConstant(200, body, { "x-request-id": "req-7", ...headers });
  const outcome = await callOnce({ kind, baseUrl: `${server.url}/v1`, ...parts });
  const sent = server.received[0];
  if (sent === undefined) throw new Error(`nothing was sent: ${JSON.stringify(outcome)}`);
  return { outcome, sent };
}

describe.each(REAL_KINDS)("%s", (kind) => {
  test("a plain answer arrives with its text, usage and request id", async () => {
    const { outcome } = await exchange(kind, TEXT_BODY[kind]);
    expect(asAnswer(outcome)).toMatchObject({ text: "hi there", toolCalls: [], finishReason: "stop" });
    const isAnthropic = kind === "anthropic";
    expect(outcome.facts).toMatchObject({
      statusCode: 200,
      providerRequestId: "req-7",
      usage: {
        inputTokens: 100,
        outputTokens: 20,
        cachedInputTokens: 64,
        reasoningTokens: isAnthropic ? 0 : 12,
      },
    });
    expect(outcome.facts.firstByteMs).not.toBeNull();
    expect(outcome.facts.latencyMs).toBeGreaterThanOrEqual(outcome.facts.firstByteMs ?? 0);
  });

  test("what is left of the provider's limits arrives, in whichever headers it says so", async () => {
    const resetAt = new Date(Date.now() + 30_000).toISOString();
    const { outcome } = await exchange(
      kind,
      TEXT_BODY[kind],
      {},
      {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "12",
        "x-ratelimit-reset-requests": "6m0s",
        "x-ratelimit-remaining-tokens": "0",
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "7000",
        "anthropic-ratelimit-output-tokens-reset": resetAt,
      },
    );
    expect(outcome.facts.rateLimits).toEqual({
      requests: { limit: 600, remaining: 12, resetMs: 360_000 },
      tokens: { limit: null, remaining: 0, resetMs: null },
      outputTokens: { limit: 8_000, remaining: 7_000, resetMs: expect.any(Number) },
    });
    // HTTP dates have whole seconds.
    expect(outcome.facts.rateLimits?.outputTokens?.resetMs).toBeGreaterThan(28_000);
    expect(outcome.facts.rateLimits?.outputTokens?.resetMs).toBeLessThanOrEqual(31_500);
  });

  test("without such headers nothing is said of limits", async () => {
    const { outcome } = await exchange(
      kind,
      TEXT_BODY[kind],
      {},
      { "x-ratelimit-remaining-requests": "many" },
    );
    expect(outcome.facts.rateLimits).toBeNull();
  });

  test("a native tool call arrives parsed, with its raw arguments", async () => {
    const { outcome, sent } = await exchange(kind, TOOL_BODY[kind], { tools: [WEATHER] });
    expect(asAnswer(outcome)).toMatchObject({
      finishReason: "tool_calls",
      toolCalls: [
        { id: "call_1", toolName: "weather", params: { city: "Oslo" }, rawArguments: '{"city":"Oslo"}' },
      ],
    });
    expect(JSON.stringify(sent.body["tools"])).toContain("The weather of a city");
  });

  test("a conversation with tool calls and their results is sent in the provider's own format", async () => {
    const { sent } = await exchange(kind, TEXT_BODY[kind], {
      tools: [WEATHER],
      messages: [
        { role: "system", content: "be brief" },
        { role: "user", content: "weather in Oslo?" },
        {
          role: "assistant",
          content: null,
          tool_calls: [
            { id: "c9", type: "function", function: { name: "weather", arguments: '{"city":"Oslo"}' } },
          ],
        },
        { role: "tool", tool_call_id: "c9", content: '{"celsius": 3}' },
      ],
    });
    const wire = JSON.stringify(sent.body);
    for (const part of ["be brief", "weather in Oslo?", "weather", "celsius"]) expect(wire).toContain(part);
    expect(wire.indexOf("c9")).toBeGreaterThan(-1);
  });

  test("the model sees its own long integers again, in full", async () => {
    let wire = "";
    const providers = createProviders({
      env: { TEST_KEY },
      fetch: async (_input, init) => {
        wire = String(init?.body);
        return Response.json(TEXT_BODY[kind]);
      },
    });
    const request = providerRequest({
      kind,
      baseUrl: "http://example.invalid/v1",
      tools: [WEATHER],
      messages: [
        { role: "user", content: "and there?" },
        {
          role: "assistant",
          content: null,
          tool_calls: [
            {
              id: "c9",
              type: "function",
              function: { name: "weather", arguments: '{"at": 1234567890123456789}' },
            },
          ],
        },
        { role: "tool", tool_call_id: "c9", content: "cold" },
      ],
    });
    asAnswer(await providers.for(request.model).call(request));
    await providers.close();
    expect(wire).toContain("1234567890123456789");
  });

  test("an image in a data: URL is sent along", async () => {
    const image = { type: "image_url" as const, image_url: { url: `data:image/png;base64,${PIXEL}` } };
    const { outcome, sent } = await exchange(kind, TEXT_BODY[kind], {
      messages: [{ role: "user", content: [{ type: "text", text: "what is it?" }, image] }],
    });
    asAnswer(outcome);
    const wire = JSON.stringify(sent.body);
    expect(wire).toContain(PIXEL);
    expect(wire).toContain("image/png");
  });

  test("an image behind an https URL is sent as that URL and not downloaded", async () => {
    const image = { type: "image_url" as const, image_url: { url: "https://images.invalid/a.png" } };
    const { outcome, sent } = await exchange(kind, TEXT_BODY[kind], {
      messages: [{ role: "user", content: [image] }],
    });
    asAnswer(outcome);
    expect(JSON.stringify(sent.body)).toContain("https://images.invalid/a.png");
  });

  test("a PDF is sent as a file", async () => {
    const file = {
      type: "file" as const,
      file: { filename: "a.pdf", file_data: "data:application/pdf;base64,JVBERi0=" },
    };
    const { outcome, sent } = await exchange(kind, TEXT_BODY[kind], {
      messages: [{ role: "user", content: [file] }],
    });
    asAnswer(outcome);
    expect(JSON.stringify(sent.body)).toContain("JVBERi0=");
  });

  test("headers of the provider row are sent, and the key in the provider's own header", async () => {
    const { sent } = await exchange(kind, TEXT_BODY[kind], {
      model: { options: { headers: { "x-team": "blue" } } },
    });
    expect(sent.headers["x-team"]).toBe("blue");
    expect(sent.headers["accept-encoding"]).toBe("identity");
    const { authorization, "x-api-key": anthropicKey, "x-goog-api-key": googleKey } = sent.headers;
    expect([authorization?.replace("Bearer ", ""), anthropicKey, googleKey]).toContain(TEST_KEY);
  });

  test("an endpoint that needs no key is sent none", async () => {
    const { outcome, sent } = await exchange(kind, TEXT_BODY[kind], { model: { apiKeyEnv: null } });
    asAnswer(outcome);
    for (const name of ["authorization", "x-api-key", "x-goog-api-key"])
      expect(sent.headers[name]).toBeUndefined();
  });

  test("a forced answer tool becomes the answer's text", async () => {
    const body: Record<string, unknown> = {
      openai: openaiToolCall("respond", '{"n":1}'),
      "openai-compatible": openaiToolCall("respond", '{"n":1}'),
      anthropic: WIRE.anthropic(
        [{ type: "tool_use", id: "t", name: "respond", input: { n: 1 } }],
        "tool_use",
      ),
      google: WIRE.google([{ functionCall: { name: "respond", args: { n: 1 } } }]),
    };
    const { outcome, sent } = await exchange(kind, body[kind], {
      output: { kind: "json", mode: "tool", schema: SCHEMA },
    });
    expect(asAnswer(outcome)).toMatchObject({ text: '{"n":1}', toolCalls: [], finishReason: "stop" });
    expect(JSON.stringify(sent.body)).toContain('"respond"');
  });

  test("mode prompt and offered tools put no format on the wire", async () => {
    for (const parts of [
      { output: { kind: "json", mode: "prompt", schema: SCHEMA } },
      { output: { kind: "json", mode: "json_schema", schema: SCHEMA }, tools: [WEATHER] },
    ] satisfies RequestParts[]) {
      const { sent } = await exchange(kind, TEXT_BODY[kind], parts);
      expect(JSON.stringify(sent.body)).not.toMatch(
        /response_format|responseMimeType|output_config|respond"/,
      );
      await server?.close();
    }
  });

  test("an answer cut by max_tokens is an answer with finish reason length", async () => {
    const body: Record<string, unknown> = {
      openai: WIRE.openai({ content: '{"n":' }, "length"),
      "openai-compatible": WIRE.openai({ content: '{"n":' }, "length"),
      anthropic: WIRE.anthropic([{ type: "text", text: '{"n":' }], "max_tokens"),
      google: WIRE.google([{ text: '{"n":' }], "MAX_TOKENS"),
    };
    const { outcome } = await exchange(kind, body[kind]);
    expect(asAnswer(outcome)).toMatchObject({ text: '{"n":', finishReason: "length" });
  });
});

test("openai: json_schema is strict when the schema keeps the rules for it, and guidance when not", async () => {
  const strict = await exchange("openai", WIRE.openai({ content: '{"n":1}' }), {
    output: { kind: "json", mode: "json_schema", schema: SCHEMA },
  });
  expect(strict.sent.path).toBe("/v1/chat/completions");
  expect(strict.sent.body["response_format"]).toEqual({
    type: "json_schema",
    json_schema: { name: "response", schema: SCHEMA, strict: true },
  });
  await server?.close();
  const loose = await exchange("openai", WIRE.openai({ content: "{}" }), {
    output: { kind: "json", mode: "json_schema", schema: { type: "object", properties: { n: {} } } },
  });
  expect(loose.sent.body["response_format"]).toMatchObject({ json_schema: { strict: false } });
});

test("openai: mode json asks for a JSON object", async () => {
  const output = { kind: "json", mode: "json", schema: SCHEMA } as const;
  const { sent } = await exchange("openai", WIRE.openai({ content: "{}" }), { output });
  expect(sent.body["response_format"]).toEqual({ type: "json_object" });
});

test("openai: settings become the fields of the chat completions API", async () => {
  const { sent } = await exchange("openai", TEXT_BODY["openai"], {
    settings: {
      temperature: 0.5,
      max_tokens: 77,
      top_p: 0.9,
      seed: 3,
      stop: "END",
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      tool_choice: "required",
      reasoning_effort: "low",
      provider_options: { openai: { user: "u1", parallelToolCalls: false } },
    },
    tools: [WEATHER],
  });
  expect(sent.body).toMatchObject({
    model: "test-model",
    temperature: 0.5,
    max_tokens: 77,
    top_p: 0.9,
    seed: 3,
    stop: ["END"],
    presence_penalty: 0.1,
    frequency_penalty: 0.2,
    tool_choice: "required",
    reasoning_effort: "low",
    user: "u1",
    parallel_tool_calls: false,
  });
});

test("openai: the option api responses selects the responses API", async () => {
  const body = {
    id: "resp_1",
    object: "response",
    created_at: 1_700_000_000,
    model: "test-model",
    status: "completed",
    output: [
      {
        type: "message",
        id: "msg_1",
        role: "assistant",
        content: [{ type: "output_text", text: "hi there", annotations: [] }],
      },
    ],
    usage: { input_tokens: 5, output_tokens: 2, input_tokens_details: { cached_tokens: 1 } },
  };
  const { outcome, sent } = await exchange("openai", body, { model: { options: { api: "responses" } } });
  expect(asAnswer(outcome)).toMatchObject({ text: "hi there", finishReason: "stop" });
  expect(sent.path).toBe("/v1/responses");
});

test("openai-compatible: unknown options and top_k go into the body as they are", async () => {
  const { sent } = await exchange("openai-compatible", TEXT_BODY["openai"], {
    settings: {
      top_k: 40,
      provider_options: { "openai-compatible": { guided_choice: ["a"] }, p: { min_p: 0.1 } },
    },
  });
  expect(sent.body).toMatchObject({ top_k: 40, guided_choice: ["a"], min_p: 0.1 });
});

test("openai-compatible: broken and missing tool arguments are kept as they came", async () => {
  const calls = ['{"city": "Os', "", '"Oslo"'].map((args, index) => ({
    id: `c${index}`,
    type: "function",
    function: { name: "weather", arguments: args },
  }));
  const body = WIRE.openai({ content: null, tool_calls: calls }, "tool_calls");
  const { outcome } = await exchange("openai-compatible", body, { tools: [WEATHER] });
  expect(asAnswer(outcome).toolCalls.map(({ params, rawArguments }) => [params, rawArguments])).toEqual([
    [null, '{"city": "Os'],
    [{}, "{}"],
    ["Oslo", '"Oslo"'],
  ]);
});

test("anthropic: max_tokens is the request's, else the model's, else 4096", async () => {
  const limits: [RequestParts, number][] = [
    [{ settings: { max_tokens: 5 }, model: { maxOutputTokens: 900 } }, 5],
    [{ model: { maxOutputTokens: 900 } }, 900],
    [{}, 4_096],
  ];
  for (const [parts, expected] of limits) {
    const { sent } = await exchange("anthropic", TEXT_BODY["anthropic"], parts);
    expect(sent.path).toBe("/v1/messages");
    expect(sent.body["max_tokens"]).toBe(expected);
    await server?.close();
  }
});

test("anthropic: a base URL without a path gets the version in front", async () => {
  server = await startConstant(200, WIRE.anthropic(), { "request-id": "req_a" });
  const outcome = await callOnce({ kind: "anthropic", baseUrl: server.url });
  expect(asAnswer(outcome).facts.providerRequestId).toBe("req_a");
  expect(server.received[0]?.path).toBe("/v1/messages");
});

test("anthropic: a schema is asked for natively where the model has it, else by the package's own tool", async () => {
  const output = { kind: "json", mode: "json_schema", schema: SCHEMA } as const;
  const native = await exchange("anthropic", WIRE.anthropic([{ type: "text", text: '{"n":1}' }]), {
    output,
    model: { modelId: "claude-sonnet-4-5" },
  });
  expect(asAnswer(native.outcome).text).toBe('{"n":1}');
  expect(JSON.stringify(native.sent.body)).toContain("json_schema");
  await server?.close();
  const byTool = WIRE.anthropic([{ type: "tool_use", id: "t", name: "json", input: { n: 1 } }], "tool_use");
  const old = await exchange("anthropic", byTool, { output, model: { modelId: "claude-3-haiku-20240307" } });
  expect(asAnswer(old.outcome)).toMatchObject({ text: '{"n":1}', toolCalls: [], finishReason: "stop" });
});

test("anthropic: thinking is not part of the text", async () => {
  const content = [
    { type: "thinking", thinking: "hmm", signature: "s" },
    { type: "text", text: "yes" },
  ];
  const { outcome } = await exchange("anthropic", WIRE.anthropic(content));
  expect(asAnswer(outcome).text).toBe("yes");
});

test("google: json modes set the mime type, and json_schema the schema", async () => {
  const body = WIRE.google([{ text: "thinking", thought: true }, { text: '{"n":1}' }]);
  const { outcome, sent } = await exchange("google", body, {
    output: { kind: "json", mode: "json_schema", schema: SCHEMA },
  });
  expect(asAnswer(outcome).text).toBe('{"n":1}');
  expect(sent.path).toBe("/v1/models/test-model:generateContent");
  expect(sent.body["generationConfig"]).toMatchObject({ responseMimeType: "application/json" });
  expect(JSON.stringify(sent.body)).toContain("responseJsonSchema");
});

test("google: a system message in the middle is sent as the user's", async () => {
  const { outcome, sent } = await exchange("google", TEXT_BODY["google"], {
    messages: [
      { role: "system", content: "first" },
      { role: "user", content: "hello" },
      { role: "system", content: "later" },
    ],
  });
  asAnswer(outcome);
  expect(JSON.stringify(sent.body["contents"])).toContain("later");
});

test("the request id falls back to the id in the body", async () => {
  server = await startConstant(200, WIRE.google());
  const outcome = await callOnce({ kind: "google", baseUrl: server.url });
  expect(outcome.facts.providerRequestId).toBe("resp-1");
});

test("a developer message is a system message everywhere", async () => {
  const messages = [
    { role: "developer" as const, content: "Be brief." },
    { role: "user" as const, content: "Hi" },
  ];
  for (const kind of REAL_KINDS) {
    const { outcome, sent } = await exchange(kind, TEXT_BODY[kind], { messages });
    expect(outcome.kind, kind).toBe("answer");
    expect(JSON.stringify(sent.body), kind).toContain("Be brief.");
    await server?.close();
    server = undefined;
  }
});

test("audio reaches OpenAI in its own form", async () => {
  const part = { type: "input_audio" as const, input_audio: { data: "UklGRg==", format: "wav" } };
  const { sent } = await exchange("openai", TEXT_BODY.openai, {
    messages: [{ role: "user", content: [{ type: "text", text: "What is said?" }, part] }],
  });
  expect(JSON.stringify(sent.body)).toContain(JSON.stringify(part.input_audio));
});
