/** Requests to providers, and little HTTP servers that speak exactly the bytes a test gives them. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type {
  ModelTarget,
  ProviderKind,
  ProviderOutcome,
  ProviderRequest,
} from "../../src/providers/provider.ts";
import { createProviders, type Providers } from "../../src/providers/registry.ts";

/** A key that would be noticed in any message. */
export const TEST_KEY = "sk-test-0123456789abcdef";

export type Received = {
  method: string;
  path: string;
  headers: IncomingMessage["headers"];
  body: Record<string, unknown>;
};

export type TestServer = {
  url: string;
  received: Received[];
  close(): Promise<void>;
};

/** Starts a server; `answer` gets each request after its body was read. */
export async function startServer(
  answer: (response: ServerResponse, received: Received, request: IncomingMessage) => void,
): Promise<TestServer> {
  const received: Received[] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString("utf8");
      const entry = {
        method: request.method ?? "",
        path: request.url ?? "",
        headers: request.headers,
        body: text === "" ? {} : JSON.parse(text),
      };
      received.push(entry);
      answer(response, entry, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", 4_096, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A server that answers everything with one status, headers and JSON (or text) body. */
export function startConstant(
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<TestServer> {
  return startServer((response) => sendJson(response, status, body, headers));
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}

/** The parts of a request a test cares about; everything else has a plain value. */
export type RequestParts = Omit<Partial<ProviderRequest>, "model" | "timeouts"> & {
  kind?: ProviderKind;
  baseUrl?: string | null;
  model?: Partial<ModelTarget>;
  timeouts?: Partial<ProviderRequest["timeouts"]>;
};

export function providerRequest({
  kind = "openai",
  baseUrl = null,
  model,
  timeouts,
  ...rest
}: RequestParts): ProviderRequest {
  return {
    requestId: "01990000-0000-7000-8000-000000000001",
    model: {
      name: "m",
      provider: "p",
      kind,
      modelId: "test-model",
      baseUrl,
      apiKeyEnv: kind === "sim" ? null : "TEST_KEY",
      options: {},
      contextWindow: null,
      maxOutputTokens: null,
      ...model,
    },
    messages: [{ role: "user", content: "hello" }],
    tools: [],
    settings: {},
    output: { kind: "text" },
    signal: new AbortController().signal,
    ...rest,
    timeouts: { connectMs: 10_000, firstByteMs: 20_000, totalMs: 20_000, ...timeouts },
  };
}

export function testProviders(env: Record<string, string> = {}): Providers {
  return createProviders({ env: { TEST_KEY, ...env } });
}

/** One call through fresh providers. */
export async function callOnce(parts: RequestParts): Promise<ProviderOutcome> {
  const providers = testProviders();
  const request = providerRequest(parts);
  try {
    return await providers.for(request.model).call(request);
  } finally {
    await providers.close();
  }
}

/** The outcome as an answer; fails the test with the error's own words. */
export function asAnswer(outcome: ProviderOutcome): Extract<ProviderOutcome, { kind: "answer" }> {
  if (outcome.kind !== "answer")
    throw new Error(`expected an answer, got ${outcome.errorClass}: ${outcome.message}`);
  return outcome;
}

export function asError(outcome: ProviderOutcome): Extract<ProviderOutcome, { kind: "error" }> {
  if (outcome.kind !== "error")
    throw new Error(`expected an error, got the answer ${JSON.stringify(outcome.text)}`);
  return outcome;
}

/** Success bodies in the three wire formats. */
export const WIRE = {
  openai: (message: Record<string, unknown> = { content: "hi there" }, finish = "stop") => ({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1_700_000_000,
    model: "test-model",
    choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason: finish }],
    usage: {
      prompt_tokens: 100,
      completion_tokens: 20,
      total_tokens: 120,
      prompt_tokens_details: { cached_tokens: 64 },
      completion_tokens_details: { reasoning_tokens: 12 },
    },
  }),
  anthropic: (content: unknown[] = [{ type: "text", text: "hi there" }], stop = "end_turn") => ({
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "test-model",
    content,
    stop_reason: stop,
    stop_sequence: null,
    usage: {
      input_tokens: 30,
      output_tokens: 20,
      cache_creation_input_tokens: 6,
      cache_read_input_tokens: 64,
    },
  }),
  google: (parts: unknown[] = [{ text: "hi there" }], finish = "STOP") => ({
    candidates: [{ content: { role: "model", parts }, finishReason: finish, index: 0 }],
    usageMetadata: {
      promptTokenCount: 100,
      candidatesTokenCount: 8,
      thoughtsTokenCount: 12,
      totalTokenCount: 120,
      cachedContentTokenCount: 64,
    },
    modelVersion: "test-model",
    responseId: "resp-1",
  }),
};
