/**
 * A model that is not there: deterministic, in this process, for the demo, tests and benchmarks. Without
 * options it echoes the last user message; asked for JSON it answers the smallest value its schema allows;
 * with `tool_choice: "required"` it calls the first tool. See `sim-behaviour.ts` for what it can be told.
 */
import { setTimeout as delay } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { textOfContent } from "./ai-sdk-prompt.ts";
import { classifyError } from "./error-classes.ts";
import type { CallFacts, Provider, ProviderOutcome, ProviderRequest, TokenUsage } from "./provider.ts";
import { behaviourOf, isCounted, type SimBehaviour, type SimError } from "./sim-behaviour.ts";
import { minimalValue } from "./sim-value.ts";

/** Requests whose calls are counted at the same time; older counts are forgotten. */
const MAX_COUNTED_REQUESTS = 100_000;
const ECHO_LENGTH = 60;

type Reply = Pick<Extract<ProviderOutcome, { kind: "answer" }>, "text" | "toolCalls" | "finishReason">;

/** A simulated provider; what it remembers (calls per request id) is its own. */
export function createSimProvider(): Provider {
  const calls = new LRUCache<string, number>({ max: MAX_COUNTED_REQUESTS });
  return {
    call: (request) => {
      if (!isCounted(request)) return answerCall(request, 1);
      const callNumber = (calls.get(request.requestId) ?? 0) + 1;
      calls.set(request.requestId, callNumber);
      return answerCall(request, callNumber);
    },
  };
}

async function answerCall(request: ProviderRequest, callNumber: number): Promise<ProviderOutcome> {
  const startedAt = new Date();
  const startedAtMs = performance.now();
  const behaviour = behaviourOf(request, callNumber);
  const factsOf = (statusCode: number | null, usage: TokenUsage | null): CallFacts => {
    const latencyMs = Math.round(performance.now() - startedAtMs);
    const providerRequestId = statusCode === null ? null : `sim-${request.requestId}-${callNumber}`;
    return {
      startedAt,
      latencyMs,
      firstByteMs: statusCode === null ? null : latencyMs,
      statusCode,
      providerRequestId,
      usage,
    };
  };
  const interruption = await waitFor(latencyOf(behaviour, request, callNumber), request);
  if (interruption !== null) return { ...interruption, facts: factsOf(null, null) };
  const { error } = behaviour;
  if (error !== undefined && callNumber <= (error.times ?? Number.POSITIVE_INFINITY)) {
    return { ...errorOf(error), facts: factsOf(error.status ?? null, null) };
  }
  const reply = replyOf(behaviour, request);
  return { kind: "answer", ...reply, facts: factsOf(200, usageOf(behaviour, request, reply)) };
}

/** Waits out the latency; returns the error that ended it, or null when it passed. */
async function waitFor(latencyMs: number, request: ProviderRequest) {
  const limitMs = Math.min(request.timeouts.firstByteMs, request.timeouts.totalMs);
  const error = (errorClass: "aborted" | "transient", message: string) =>
    ({ kind: "error", errorClass, message, retryAfterMs: null }) as const;
  if (request.signal.aborted) return error("aborted", "the call was aborted");
  if (latencyMs <= 0) return null;
  try {
    await delay(Math.min(latencyMs, limitMs), undefined, { signal: request.signal });
  } catch {
    return error("aborted", "the call was aborted");
  }
  return latencyMs > limitMs ? error("transient", `no complete answer within ${limitMs} ms`) : null;
}

function latencyOf(behaviour: SimBehaviour, request: ProviderRequest, callNumber: number): number {
  const jitterMs = behaviour.jitter_ms ?? 0;
  const share = jitterMs > 0 ? hash(`${request.requestId}:${callNumber}`) / 2 ** 32 : 0;
  return (behaviour.latency_ms ?? 0) + Math.round(jitterMs * share);
}

function errorOf(error: SimError) {
  const message = error.message ?? "the simulated provider fails as told";
  const classified = classifyError({
    statusCode: error.status ?? 500,
    body: JSON.stringify({ error: { message } }),
    headers: error.retry_after_ms === undefined ? {} : { "retry-after-ms": String(error.retry_after_ms) },
    cause: null,
  });
  return {
    kind: "error",
    ...classified,
    ...(error.class !== undefined && { errorClass: error.class }),
  } as const;
}

function replyOf(behaviour: SimBehaviour, request: ProviderRequest): Reply {
  const toolCalls = toolCallsOf(behaviour, request);
  // What it was told to say is its last word; a turn that calls tools has not come to that yet.
  const text = toolCalls.length > 0 ? "" : textOf(behaviour, request);
  return {
    text,
    toolCalls,
    finishReason: behaviour.finish_reason ?? (toolCalls.length > 0 ? "tool_calls" : "stop"),
  };
}

function toolCallsOf(behaviour: SimBehaviour, request: ProviderRequest): Reply["toolCalls"] {
  if (request.messages.at(-1)?.role === "tool") return [];
  const choice = request.settings.tool_choice;
  const wanted = typeof choice === "object" ? choice.function.name : undefined;
  const mustCall = wanted !== undefined || choice === "required" || behaviour.call_tools === true;
  const tool = request.tools.find((offered) => wanted === undefined || offered.function.name === wanted);
  const calls =
    behaviour.tool_calls ??
    (mustCall && tool
      ? [{ name: tool.function.name, params: minimalValue(tool.function.parameters ?? {}) }]
      : []);
  return calls.map(({ name, params }, index) => ({
    id: `call_${index + 1}`,
    toolName: name,
    params,
    rawArguments: JSON.stringify(params ?? null),
  }));
}

function textOf(behaviour: SimBehaviour, request: ProviderRequest): string {
  if (typeof behaviour.malformed === "string") return behaviour.malformed;
  const text = behaviour.text ?? jsonTextOf(behaviour, request) ?? echo(request);
  if (behaviour.malformed !== true) return text;
  // Always looks like JSON and never is: the end is missing.
  return text.startsWith("{") && text.length > 2
    ? text.slice(0, Math.ceil(text.length * 0.7))
    : '{"answer": "cut off in';
}

function jsonTextOf(behaviour: SimBehaviour, request: ProviderRequest): string | undefined {
  if (behaviour.json !== undefined) return JSON.stringify(behaviour.json);
  return request.output.kind === "json" ? JSON.stringify(minimalValue(request.output.schema)) : undefined;
}

function echo(request: ProviderRequest): string {
  const asked = request.messages.findLast((message) => message.role === "user" || message.role === "tool");
  const words = textOfContent(asked?.content).replace(/\s+/g, " ").trim().slice(0, ECHO_LENGTH);
  return asked?.role === "tool" ? `The tool said: ${words}` : `You said: ${words}`;
}

/** Four characters to a token, which is near enough for English. */
function usageOf(behaviour: SimBehaviour, request: ProviderRequest, reply: Reply): TokenUsage {
  const written =
    reply.text.length + reply.toolCalls.reduce((sum, call) => sum + call.rawArguments.length, 0);
  const read = request.messages.reduce((sum, message) => sum + textOfContent(message.content).length, 0);
  const estimate = { inputTokens: Math.ceil(read / 4), outputTokens: Math.ceil(written / 4) };
  return { ...estimate, cachedInputTokens: 0, reasoningTokens: 0, ...behaviour.usage };
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
