/**
 * What the span of a call says, in the words of OpenTelemetry's GenAI conventions. `error.type` is the error class
 * (the table in docs/providers.md), or why the call was aborted.
 * https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md
 */
import { type Attributes, type Span, SpanStatusCode } from "@opentelemetry/api";
import { genAiOperation, genAiProvider } from "../providers/gen-ai-names.ts";
import type { ModelTarget, ProviderOutcome, ProviderRequest } from "../providers/provider.ts";

/** What samplers may decide by is known when the span begins. */
export function questionAttributes({ model, settings, output }: ProviderRequest): Attributes {
  return {
    "gen_ai.operation.name": genAiOperation(model),
    "gen_ai.provider.name": genAiProvider(model),
    "gen_ai.request.model": model.modelId,
    "gen_ai.request.max_tokens": settings.max_tokens,
    "gen_ai.request.temperature": settings.temperature,
    "gen_ai.request.top_p": settings.top_p,
    "gen_ai.request.top_k": settings.top_k,
    "gen_ai.request.seed": settings.seed,
    "gen_ai.output.type": output.kind,
    ...serverAttributes(model),
    "llmq.model": model.name,
  };
}

function serverAttributes({ baseUrl }: ModelTarget): Attributes {
  const url = baseUrl === null ? null : URL.parse(baseUrl);
  if (url === null) return {};
  const { hostname, port, protocol } = url;
  const portNumber = Number(port) || (protocol === "http:" ? 80 : 443);
  return { "server.address": hostname, "server.port": portNumber };
}

export function describeOutcome(span: Span, outcome: ProviderOutcome, signal: AbortSignal): void {
  if (!span.isRecording()) return;
  const { usage, responseModel, statusCode, providerRequestId } = outcome.facts;
  span.setAttributes({
    "gen_ai.response.model": responseModel ?? undefined,
    "gen_ai.usage.input_tokens": usage?.inputTokens,
    "gen_ai.usage.output_tokens": usage?.outputTokens,
    "gen_ai.usage.cache_read.input_tokens": usage?.cachedInputTokens,
    "gen_ai.usage.reasoning.output_tokens": usage?.reasoningTokens,
    "http.response.status_code": statusCode ?? undefined,
    "llmq.provider_request_id": providerRequestId ?? undefined,
  });
  if (outcome.kind === "answer") {
    span.setAttribute("gen_ai.response.finish_reasons", [outcome.finishReason]);
    return;
  }
  const { errorClass } = outcome;
  span.setAttribute("error.type", errorClass === "aborted" ? String(signal.reason) : errorClass);
  span.setStatus({ code: SpanStatusCode.ERROR });
}
