import { afterEach, describe, expect, test } from "vitest";
import { redact } from "../../src/providers/error-body.ts";
import { classifyError } from "../../src/providers/error-classes.ts";
import type { ErrorClass, ProviderKind } from "../../src/providers/provider.ts";
import { createProviders } from "../../src/providers/registry.ts";
import {
  asAnswer,
  asError,
  callOnce,
  providerRequest,
  type RequestParts,
  startConstant,
  TEST_KEY,
  type TestServer,
  WIRE,
} from "./support.ts";

let server: TestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const openai = (
  message: string,
  code: string | null = null,
  type = "invalid_request_error",
  param: string | null = null,
) => ({
  error: { message, type, param, code },
});
const anthropic = (type: string, message: string) => ({
  type: "error",
  error: { type, message },
  request_id: "req_1",
});
const google = (code: number, status: string, message: string, details: unknown[] = []) => ({
  error: { code, message, status, details },
});

async function fail(
  kind: ProviderKind,
  status: number,
  body: unknown,
  headers = {},
  parts: RequestParts = {},
) {
  server = await startConstant(status, body, headers);
  return asError(await callOnce({ kind, baseUrl: `${server.url}/v1`, ...parts }));
}

type Row = [kind: ProviderKind, status: number, body: unknown, errorClass: ErrorClass];

const SCHEMA_OUTPUT: RequestParts = {
  output: { kind: "json", mode: "json_schema", schema: { type: "object" } },
};

const ROWS: Row[] = [
  // transient
  ...[408, 409, 425, 500, 502, 504, 520, 521, 522, 523, 524, 501, 599].map(
    (status): Row => ["openai", status, openai("try later", null, "server_error"), "transient"],
  ),
  ["anthropic", 500, anthropic("api_error", "Internal server error"), "transient"],
  ["google", 500, google(500, "INTERNAL", "An internal error has occurred."), "transient"],
  ["google", 504, google(504, "DEADLINE_EXCEEDED", "The request timed out."), "transient"],
  [
    "openai-compatible",
    502,
    "<html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>",
    "transient",
  ],
  // capacity
  ["openai", 429, openai("Rate limit reached for gpt-4o", "rate_limit_exceeded", "tokens"), "capacity"],
  ["openai", 503, openai("The engine is currently overloaded", null, "server_error"), "capacity"],
  ["anthropic", 429, anthropic("rate_limit_error", "This request would exceed your rate limit"), "capacity"],
  ["anthropic", 529, anthropic("overloaded_error", "Overloaded"), "capacity"],
  [
    "google",
    429,
    google(
      429,
      "RESOURCE_EXHAUSTED",
      "You exceeded your current quota, please check your plan and billing details.",
    ),
    "capacity",
  ],
  ["google", 503, google(503, "UNAVAILABLE", "The model is overloaded. Please try again later."), "capacity"],
  ["openai-compatible", 200, { error: { code: 429, message: "Provider returned rate limit" } }, "capacity"],
  // out of quota
  [
    "openai",
    429,
    openai(
      "You exceeded your current quota, please check your plan and billing details.",
      "insufficient_quota",
      "insufficient_quota",
    ),
    "out_of_quota",
  ],
  [
    "openai",
    400,
    openai("Billing hard limit has been reached", "billing_hard_limit_reached"),
    "out_of_quota",
  ],
  [
    "anthropic",
    400,
    anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
    "out_of_quota",
  ],
  ["anthropic", 402, anthropic("billing_error", "There is an issue with your billing."), "out_of_quota"],
  [
    "google",
    403,
    google(
      403,
      "PERMISSION_DENIED",
      "This API method requires billing to be enabled. Please enable billing on project 1.",
    ),
    "out_of_quota",
  ],
  ["openai-compatible", 402, { error: { code: 402, message: "Insufficient credits" } }, "out_of_quota"],
  // configuration
  ["openai", 401, openai("Incorrect API key provided", "invalid_api_key"), "configuration"],
  ["openai", 403, openai("Country not supported", "unsupported_country_region_territory"), "configuration"],
  [
    "openai",
    404,
    openai("The model `x` does not exist or you do not have access to it.", "model_not_found"),
    "configuration",
  ],
  ["anthropic", 401, anthropic("authentication_error", "invalid x-api-key"), "configuration"],
  ["anthropic", 403, anthropic("permission_error", "Your API key does not have permission"), "configuration"],
  ["anthropic", 404, anthropic("not_found_error", "model: claude-9"), "configuration"],
  [
    "google",
    400,
    google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", [
      { reason: "API_KEY_INVALID" },
    ]),
    "configuration",
  ],
  ["google", 404, google(404, "NOT_FOUND", "models/x is not found for API version v1beta"), "configuration"],
  [
    "openai-compatible",
    404,
    { object: "error", message: "The model `x` does not exist.", type: "NotFoundError", code: 404 },
    "configuration",
  ],
  // too long
  [
    "openai",
    400,
    openai("This model's maximum context length is 128000 tokens.", "context_length_exceeded"),
    "too_long",
  ],
  [
    "openai",
    429,
    openai("Request too large for gpt-4o on tokens per min (TPM)", "rate_limit_exceeded", "tokens"),
    "too_long",
  ],
  [
    "anthropic",
    400,
    anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    "too_long",
  ],
  [
    "anthropic",
    400,
    anthropic(
      "invalid_request_error",
      "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
    ),
    "too_long",
  ],
  ["anthropic", 413, anthropic("request_too_large", "Request exceeds the maximum size"), "too_long"],
  [
    "google",
    400,
    google(
      400,
      "INVALID_ARGUMENT",
      "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    ),
    "too_long",
  ],
  [
    "openai-compatible",
    400,
    {
      object: "error",
      message: "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
      type: "BadRequestError",
      code: 400,
    },
    "too_long",
  ],
  [
    "openai-compatible",
    400,
    {
      error: {
        code: 400,
        message: "the request exceeds the available context size",
        type: "exceed_context_size_error",
      },
    },
    "too_long",
  ],
  // refused
  ["openai", 400, openai("The response was filtered", "content_filter"), "refused"],
  [
    "openai",
    400,
    openai(
      "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
      "invalid_prompt",
    ),
    "refused",
  ],
  [
    "anthropic",
    400,
    anthropic("invalid_request_error", "Output blocked by content filtering policy"),
    "refused",
  ],
  ["openai", 200, WIRE.openai({ content: null, refusal: "I cannot help with that." }), "refused"],
  ["openai", 200, WIRE.openai({ content: "" }, "content_filter"), "refused"],
  ["openai-compatible", 200, WIRE.openai({ content: "" }, "content_filter"), "refused"],
  ["anthropic", 200, WIRE.anthropic([], "refusal"), "refused"],
  ["google", 200, { candidates: [{ finishReason: "SAFETY", index: 0 }] }, "refused"],
  ["google", 200, { promptFeedback: { blockReason: "PROHIBITED_CONTENT" } }, "refused"],
  // bad request
  ["openai", 400, openai("Invalid value for 'temperature'", "invalid_value"), "bad_request"],
  ["openai", 422, openai("Unprocessable"), "bad_request"],
  [
    "openai",
    400,
    openai(
      "max_tokens is too large: 100000. This model supports at most 16384 completion tokens",
      "invalid_value",
    ),
    "bad_request",
  ],
  [
    "anthropic",
    400,
    anthropic("invalid_request_error", "messages: at least one message is required"),
    "bad_request",
  ],
  ["google", 400, google(400, "INVALID_ARGUMENT", "Please use a valid role: user, model."), "bad_request"],
  [
    "openai-compatible",
    422,
    { detail: [{ loc: ["body", "messages"], msg: "field required" }] },
    "bad_request",
  ],
];

describe("the table of error classes, over HTTP in each wire format", () => {
  test.each(ROWS)("%s %i %j is %s", async (kind, status, body, errorClass) => {
    const outcome = await fail(kind, status, body);
    expect(outcome.errorClass).toBe(errorClass);
    expect(outcome.facts.statusCode).toBe(status);
    expect(outcome.message).not.toBe("");
  });

  test.each([
    [
      "openai",
      openai(
        "Invalid schema for response_format 'response': 'required' is required",
        null,
        "invalid_request_error",
        "response_format",
      ),
    ],
    [
      "openai",
      openai("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."),
    ],
    ["openai-compatible", { error: "json_schema is not supported by this backend" }],
    ["openai-compatible", { object: "error", message: "Grammar error: unsupported keyword", code: 400 }],
    [
      "anthropic",
      anthropic(
        "invalid_request_error",
        "output_config.format.schema: For 'object' type, 'additionalProperties' must be false",
      ),
    ],
    [
      "anthropic",
      anthropic("invalid_request_error", "tools.0.custom.input_schema.type: Input should be 'object'"),
    ],
    [
      "google",
      google(
        400,
        "INVALID_ARGUMENT",
        "Invalid JSON payload received. Unknown name \"not\" at 'generation_config.response_json_schema'",
      ),
    ],
    [
      "google",
      google(
        400,
        "INVALID_ARGUMENT",
        "The specified schema produces a constraint that has too many states for serving.",
      ),
    ],
  ] satisfies [ProviderKind, unknown][])(
    "%s %j is mode when a schema was asked for, else bad_request",
    async (kind, body) => {
      expect((await fail(kind, 400, body, {}, SCHEMA_OUTPUT)).errorClass).toBe("mode");
      await server?.close();
      expect((await fail(kind, 400, body)).errorClass).toBe("bad_request");
    },
  );

  test("the message is the provider's own", async () => {
    const outcome = await fail(
      "google",
      400,
      google(400, "INVALID_ARGUMENT", "Please use a valid role: user, model."),
    );
    expect(outcome.message).toBe("Please use a valid role: user, model.");
  });

  test("an HTML error page is shortened to its words", async () => {
    const page = "<html><head><style>b{}</style></head><body><h1>502 Bad Gateway</h1><hr>nginx</body></html>";
    expect((await fail("openai", 502, page)).message).toBe("HTTP 502: 502 Bad Gateway nginx");
  });

  test("a redirect is not followed: it is a configuration error that names the other host", async () => {
    const target = await startConstant(200, WIRE.openai());
    const outcome = await fail("openai", 307, "", { location: `${target.url}/v1` });
    expect(outcome).toMatchObject({ errorClass: "configuration" });
    expect(outcome.message).toContain(new URL(target.url).host);
    expect(target.received).toEqual([]);
    await target.close();
  });
});

describe("keys never get into messages", () => {
  test("a key that the provider repeats is taken out", async () => {
    const outcome = await fail(
      "openai",
      401,
      openai(`Incorrect API key provided: ${TEST_KEY}. Also Bearer ${TEST_KEY}`),
    );
    expect(outcome.message).not.toContain(TEST_KEY);
    expect(outcome.message).toContain("[key]");
  });

  test("what looks like a key is taken out even when it is not ours", () => {
    const message = redact(
      "Incorrect API key provided: sk-proj-********************wxyz or AIzaSyA1234567890abcdef",
    );
    expect(message).toBe("Incorrect API key provided: [key] or [key]");
  });

  test("a key of another form is taken out when it is the call's own", () => {
    expect(redact("bad key hunter2hunter2", ["hunter2hunter2"])).toBe("bad key [key]");
  });
});

describe("x-should-retry outranks the table", () => {
  test.each([
    ["false", 500, "bad_request"],
    ["false", 429, "bad_request"],
    ["true", 400, "transient"],
    ["true", 404, "transient"],
    ["true", 429, "capacity"],
  ])("%s on %i is %s", async (value, status, errorClass) => {
    const outcome = await fail("openai", status, openai("no"), { "x-should-retry": value });
    expect(outcome.errorClass).toBe(errorClass);
  });
});

describe("how long to wait", () => {
  const inTenSeconds = () => new Date(Date.now() + 10_000);

  test.each([
    ["retry-after-ms", { "retry-after-ms": "1500", "retry-after": "99" }, 1_500],
    ["retry-after in seconds", { "retry-after": "7" }, 7_000],
    ["retry-after in parts of a second", { "retry-after": "0.25" }, 250],
    ["x-ratelimit-reset in seconds", { "x-ratelimit-reset-requests": "1s" }, 1_000],
    ["x-ratelimit-reset in minutes", { "x-ratelimit-reset-tokens": "6m0s" }, 360_000],
    ["x-ratelimit-reset in milliseconds", { "x-ratelimit-reset-tokens": "120ms" }, 120],
    [
      "the limit that is used up",
      {
        "x-ratelimit-remaining-requests": "9",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "30s",
      },
      30_000,
    ],
    [
      "the first to reset when none says it is used up",
      { "x-ratelimit-reset-requests": "8h", "x-ratelimit-reset-tokens": "2s" },
      2_000,
    ],
  ])("%s", async (_name, headers, expected) => {
    const outcome = await fail("openai", 429, openai("slow down"), headers);
    expect(outcome).toMatchObject({ errorClass: "capacity", retryAfterMs: expected });
  });

  test.each([
    ["retry-after as an HTTP date", () => ({ "retry-after": inTenSeconds().toUTCString() })],
    [
      "anthropic-ratelimit-*-reset",
      () => ({ "anthropic-ratelimit-output-tokens-reset": inTenSeconds().toISOString() }),
    ],
    [
      "x-ratelimit-reset in Unix milliseconds",
      () => ({ "x-ratelimit-reset": String(inTenSeconds().getTime()) }),
    ],
    [
      "x-ratelimit-reset in Unix seconds",
      () => ({ "x-ratelimit-reset": String(Math.round(inTenSeconds().getTime() / 1_000)) }),
    ],
  ])("%s is measured against the server's clock", async (_name, headers) => {
    const outcome = await fail("anthropic", 429, anthropic("rate_limit_error", "slow down"), headers());
    // HTTP dates have whole seconds.
    expect(outcome.retryAfterMs).toBeGreaterThanOrEqual(8_000);
    expect(outcome.retryAfterMs).toBeLessThanOrEqual(11_500);
  });

  test("a local clock that is an hour wrong does not change a date", () => {
    const serverNow = Date.now() - 3_600_000;
    const headers = {
      date: new Date(serverNow).toUTCString(),
      "retry-after": new Date(serverNow + 5_000).toUTCString(),
    };
    const facts = { statusCode: 429, body: null, headers, cause: null };
    expect(classifyError(facts).retryAfterMs).toBe(5_000);
  });

  test("a moment that has passed means no wait", () => {
    const headers = { "retry-after": new Date(Date.now() - 60_000).toUTCString() };
    expect(classifyError({ statusCode: 503, body: null, headers, cause: null }).retryAfterMs).toBe(0);
  });

  test("a Unix time instead of seconds is read as one", () => {
    const headers = { "retry-after": String(Math.ceil(Date.now() / 1000) + 30) };
    const { retryAfterMs } = classifyError({ statusCode: 429, body: null, headers, cause: null });
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(retryAfterMs).toBeLessThanOrEqual(31_000);
  });

  test("Google's RetryInfo", async () => {
    const details = [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "33.5s" }];
    const outcome = await fail("google", 429, google(429, "RESOURCE_EXHAUSTED", "quota", details));
    expect(outcome).toMatchObject({ errorClass: "capacity", retryAfterMs: 33_500 });
  });

  test.each([["nonsense"], ["-5"], [""]])("a retry-after of %j says nothing", (value) => {
    const facts = { statusCode: 429, body: null, headers: { "retry-after": value }, cause: null };
    expect(classifyError(facts).retryAfterMs).toBeNull();
  });
});

describe("a 200 that is no answer", () => {
  const responses: RequestParts = { model: { options: { api: "responses" } } };
  const unfinished = (status: string) => ({
    id: "r",
    created_at: 1,
    model: "m",
    status,
    output: [],
    usage: { input_tokens: 1, output_tokens: 0 },
  });

  test.each<[string, ProviderKind, unknown, ErrorClass, RequestParts]>([
    ["an error", "google", google(503, "UNAVAILABLE", "model overloaded"), "capacity", {}],
    ["nothing", "google", {}, "transient", {}],
    ["no candidates", "google", { candidates: [] }, "transient", {}],
    ["a status page", "google", { status: "maintenance" }, "transient", {}],
    ["one that is still being made", "openai", unfinished("in_progress"), "transient", responses],
    ["one that was cancelled", "openai", unfinished("cancelled"), "transient", responses],
    ["no status", "openai", { output: [] }, "transient", responses],
    [
      "tool calls that are not there",
      "openai",
      WIRE.openai({ content: null }, "tool_calls"),
      "transient",
      {},
    ],
    [
      "half of one, of a router",
      "openai-compatible",
      WIRE.openai({ content: "The first ha" }, "error"),
      "transient",
      {},
    ],
  ])("%s (%s)", async (_name, kind, body, errorClass, parts) => {
    expect(await fail(kind, 200, body, {}, parts)).toMatchObject({ errorClass, facts: { statusCode: 200 } });
  });

  test.each<[ProviderKind, unknown, RequestParts]>([
    ["google", { candidates: [{ content: {}, finishReason: "STOP" }] }, {}],
    ["openai", WIRE.openai({ content: null }), {}],
    ["openai", unfinished("completed"), responses],
  ])("an empty one that its model ended is an answer (%s)", async (kind, body, parts) => {
    server = await startConstant(200, body, {});
    const outcome = await callOnce({ kind, baseUrl: `${server.url}/v1`, ...parts });
    expect(asAnswer(outcome)).toMatchObject({ text: "", finishReason: "stop" });
  });
});

describe("what cannot be sent", () => {
  const kinds = ["openai", "openai-compatible", "anthropic", "google"] as const;

  test.each(kinds)(
    "a key with a character no header can hold is a matter of configuration (%s)",
    async (kind) => {
      for (const key of ["sk-1234…", "\u201csk-1234567\u201d", "sk-12\n34567"]) {
        const providers = createProviders({ env: { BAD_KEY: key } });
        const request = providerRequest({
          kind,
          baseUrl: "http://127.0.0.1:9/v1",
          model: { apiKeyEnv: "BAD_KEY" },
        });
        const outcome = asError(await providers.for(request.model).call(request));
        await providers.close();
        expect(outcome.errorClass).toBe("configuration");
        expect(outcome.message).toBe("the API key in BAD_KEY has a character that cannot be sent");
      }
    },
  );

  test.each([{ "X Bad": "1" }, { "x-good": "1", "x-bad": "…" }])("nor a header like %j", async (headers) => {
    const parts = { baseUrl: "http://127.0.0.1:9/v1", model: { options: { headers } } };
    const outcome = asError(await callOnce(parts));
    expect(outcome.errorClass).toBe("configuration");
    expect(outcome.message).toMatch(/the header "[Xx][ -][Bb]ad" in the options of provider "p"/);
  });
});

describe("a key that the provider repeats", () => {
  const key = TEST_KEY.slice(0, -1);

  test.each([
    ["where a long message is cut", openai(`${"x".repeat(1_990)} ${TEST_KEY}`)],
    ["where a page is cut", `<html>${" word".repeat(38)} ${TEST_KEY}</html>`],
  ])("%s leaves no part of itself", async (_name, body) => {
    const { message } = await fail("openai", 500, body);
    expect(message.length).toBeGreaterThan(100);
    for (let length = 6; length <= key.length; length += 1)
      expect(message).not.toContain(key.slice(0, length));
  });

  test("as its request id is not stored", async () => {
    const outcome = await fail("openai", 500, openai("no"), { "x-request-id": `req-${TEST_KEY}` });
    expect(outcome.facts.providerRequestId).toBe("req-[key]");
  });
});
