/**
 * One call through an AI SDK provider package, at the `doGenerate` level: no retries, one shape for text,
 * tool calls and usage. What went wrong is read from the HTTP trace, not from the package's exceptions, so
 * that the table in `error-classes.ts` sees the same facts whatever package was used.
 */
import type { LanguageModelV4, LanguageModelV4GenerateResult, LanguageModelV4Usage } from "@ai-sdk/provider";
import { ANSWER_TOOL_NAME, askedMode, type CallOptionRules, toCallOptions } from "./ai-sdk-options.ts";
import { isRecord, parseJson, redact } from "./error-body.ts";
import { classifyError } from "./error-classes.ts";
import type { HttpClient, HttpTrace } from "./http.ts";
import type {
  CallFacts,
  ErrorClass,
  FinishReason,
  Provider,
  ProviderOutcome,
  ProviderRequest,
  TokenUsage,
} from "./provider.ts";
import { rateLimitsOf } from "./rate-limit-headers.ts";

/** Where and how one call goes out. */
export type Connection = {
  modelId: string;
  /** Null: the provider's public address. */
  baseUrl: string | null;
  /** `NO_KEY` when the endpoint needs none. */
  apiKey: string;
  headers: Record<string, string>;
  fetch: typeof fetch;
  /** `ModelTarget.options`. */
  options: Record<string, unknown>;
};

/** One kind of provider: the file named after it makes one of these. */
export type Adapter = CallOptionRules & { createModel(connection: Connection): LanguageModelV4 };

/** The packages insist on a key; headers that carry this one are not sent. */
export const NO_KEY = "llmq-no-key";

export type AiSdkProviderOptions = {
  adapter: Adapter;
  baseUrl: string | null;
  apiKey: string | null;
  http: HttpClient;
};

/** A provider over one adapter, one address and one key. Calls share nothing but the connection pool. */
export function createAiSdkProvider(options: AiSdkProviderOptions): Provider {
  return { call: (request) => callModel(options, request) };
}

async function callModel(options: AiSdkProviderOptions, request: ProviderRequest): Promise<ProviderOutcome> {
  const startedAt = new Date();
  const startedAtMs = performance.now();
  const secrets = options.apiKey === null ? [] : [options.apiKey];
  const wire = options.http.begin(request.timeouts, request.signal);
  const factsOf = (
    usage: TokenUsage | null,
    response: LanguageModelV4GenerateResult["response"],
  ): CallFacts => ({
    startedAt,
    latencyMs: Math.round(performance.now() - startedAtMs),
    firstByteMs: wire.trace.firstByteMs,
    statusCode: wire.trace.statusCode,
    providerRequestId: requestIdOf(wire.trace, response?.id, secrets),
    responseModel: response?.modelId,
    usage,
    rateLimits: rateLimitsOf(wire.trace.headers),
  });
  try {
    const model = options.adapter.createModel({
      modelId: request.model.modelId,
      baseUrl: options.baseUrl,
      apiKey: options.apiKey ?? NO_KEY,
      headers: headersOf(request),
      fetch: options.apiKey === null ? withoutKeyHeaders(wire.fetch) : wire.fetch,
      options: request.model.options,
    });
    const result = await model.doGenerate(toCallOptions(request, options.adapter, request.signal));
    const facts = factsOf(toUsage(result.usage), result.response);
    if (isNoAnswer(result, wire.trace)) return failedExchange(wire.trace, request, facts, secrets);
    return toOutcome(result, request, facts, secrets);
  } catch (error) {
    const facts = factsOf(null, undefined);
    if (wire.trace.statusCode === null) {
      const unsendable = unsendableHeader(request, options.apiKey);
      if (unsendable !== null) return failedBefore("configuration", unsendable, facts);
    }
    if (wire.trace.statusCode === null && wire.trace.failure === null) {
      if (request.signal.aborted) return failedBefore("aborted", "the call was aborted", facts);
      // Nothing was sent: the messages or the settings cannot be put into this provider's format.
      const message = redact(error instanceof Error ? error.message : String(error), secrets);
      return failedBefore("bad_request", message, facts);
    }
    return failedExchange(wire.trace, request, facts, secrets);
  } finally {
    wire.end();
  }
}

function toOutcome(
  result: LanguageModelV4GenerateResult,
  request: ProviderRequest,
  facts: CallFacts,
  secrets: string[],
): ProviderOutcome {
  const { unified, raw } = result.finishReason;
  const calls = result.content.filter((part) => part.type === "tool-call" && part.providerExecuted !== true);
  const toolCalls = calls.flatMap((call) => (call.type === "tool-call" ? [readToolCall(call)] : []));
  const written = result.content.map((part) => (part.type === "text" ? part.text : "")).join("");
  const text = result.structuredOutputText ?? written;
  if (unified === "content-filter") {
    const words = text === "" ? "" : `: ${redact(text, secrets).slice(0, 300)}`;
    const message = `the model or its content filter refused (${redact(raw ?? "content_filter", secrets)})${words}`;
    return { kind: "error", errorClass: "refused", message, retryAfterMs: null, facts };
  }
  // Routers say `error` where the stream behind them broke.
  if (unified === "error" || raw === "error") {
    const message = redact(`the model broke off its answer (${raw ?? "error"})`, secrets);
    return { kind: "error", errorClass: "transient", message, retryAfterMs: null, facts };
  }
  const finishReason = toFinishReason(unified, toolCalls.length > 0);
  const answer =
    askedMode(request) === "tool" ? toolCalls.find((call) => call.toolName === ANSWER_TOOL_NAME) : undefined;
  if (answer === undefined) return { kind: "answer", text, toolCalls, finishReason, facts };
  const answered = finishReason === "tool_calls" ? "stop" : finishReason;
  return { kind: "answer", text: answer.rawArguments, toolCalls: [], finishReason: answered, facts };
}

/**
 * A success that says nothing: an error or a status page that the package read as an empty answer, or one that was
 * still being made (OpenAI's responses). An empty answer that its model ended is one.
 */
function isNoAnswer({ content, finishReason }: LanguageModelV4GenerateResult, trace: HttpTrace): boolean {
  if (content.some((part) => part.type === "tool-call" || (part.type === "text" && part.text !== "")))
    return false;
  if (finishReason.unified === "other" || finishReason.unified === "tool-calls") return true;
  const body = parseJson(trace.body);
  return isRecord(body) && Array.isArray(body["output"]) && !isEnded(body["status"]);
}

function isEnded(status: unknown): boolean {
  return status === "completed" || status === "incomplete";
}

function failedBefore(errorClass: ErrorClass, message: string, facts: CallFacts): ProviderOutcome {
  return { kind: "error", errorClass, message, retryAfterMs: null, facts };
}

function failedExchange(
  trace: HttpTrace,
  request: ProviderRequest,
  facts: CallFacts,
  secrets: string[],
): ProviderOutcome {
  const classified = classifyError({ ...trace, cause: trace.failure }, secrets);
  // A rejected schema is only a matter of mode when we had asked for one; else it is the caller's tool.
  const isCallersOwn = classified.errorClass === "mode" && askedMode(request) === null;
  return { kind: "error", ...classified, ...(isCallersOwn && { errorClass: "bad_request" }), facts };
}

/** A pasted key with a curly quote, a header's name with a blank: every call would fail alike. */
function unsendableHeader(request: ProviderRequest, apiKey: string | null): string | null {
  const { apiKeyEnv, provider } = request.model;
  if (apiKey !== null && !canSend("authorization", apiKey)) {
    return `the API key in ${apiKeyEnv} has a character that cannot be sent`;
  }
  const header = Object.entries(headersOf(request)).find(([name, value]) => !canSend(name, value));
  return header === undefined
    ? null
    : `the header ${JSON.stringify(header[0])} in the options of provider "${provider}" or its model cannot be sent`;
}

function canSend(name: string, value: string): boolean {
  try {
    new Headers([[name, value]]);
    return true;
  } catch {
    return false;
  }
}

function readToolCall(call: { toolCallId: string; toolName: string; input?: string }) {
  // Some compatible servers send no arguments at all for a tool without parameters.
  const rawArguments = call.input === undefined || call.input.trim() === "" ? "{}" : call.input;
  return {
    id: call.toolCallId,
    toolName: call.toolName,
    params: parseJson(rawArguments) ?? null,
    rawArguments,
  };
}

/** Ollama and others say `stop` beside tool calls; the calls are what counts. */
function toFinishReason(
  unified: LanguageModelV4GenerateResult["finishReason"]["unified"],
  hasToolCalls: boolean,
): FinishReason {
  if (unified === "length") return "length";
  if (hasToolCalls || unified === "tool-calls") return "tool_calls";
  return unified === "stop" ? "stop" : "other";
}

function toUsage(usage: LanguageModelV4Usage): TokenUsage | null {
  if (usage.inputTokens.total === undefined && usage.outputTokens.total === undefined) return null;
  return {
    inputTokens: usage.inputTokens.total ?? 0,
    outputTokens: usage.outputTokens.total ?? 0,
    cachedInputTokens: usage.inputTokens.cacheRead ?? 0,
    reasoningTokens: usage.outputTokens.reasoning ?? 0,
  };
}

function requestIdOf({ headers }: HttpTrace, inBody: string | undefined, secrets: string[]): string | null {
  const id = headers["x-request-id"] ?? headers["request-id"] ?? inBody;
  return id === undefined ? null : redact(id, secrets);
}

/** `options.headers` of the provider and model rows. */
function headersOf(request: ProviderRequest): Record<string, string> {
  const { headers } = request.model.options;
  if (!isRecord(headers)) return {};
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

function withoutKeyHeaders(next: typeof fetch): typeof fetch {
  return (input, init) => {
    const headers = [...new Headers(init?.headers)].filter(([, value]) => !value.includes(NO_KEY));
    return next(input, { ...init, headers });
  };
}
