/**
 * OpenTelemetry spans of an orchestrator's work. Without an SDK in the process every call here is a no-op.
 *
 *   claim llm_requests         a claim that took something; links to the spans that submitted
 *   process llm_requests       one claimed request until its outcome is stored; child of the span that submitted
 *     chat gpt-5               each call, after the GenAI conventions; what the HTTP client traces is below it
 *     finish llm_requests      the outcome, from its place in a batch to its commit
 *
 * Prompts and answers are in none of them.
 */
import {
  type Attributes,
  type Context,
  context,
  isSpanContextValid,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { errorTypeOf } from "../database/error-type.ts";
import type { AppliedOutcome, ClaimedRequest } from "../database/queue.ts";
import type { Provider, ProviderOutcome, ProviderRequest } from "../providers/provider.ts";
import { submitterSpan } from "../trace-context.ts";
import { describeOutcome, questionAttributes } from "./call-span.ts";
import type { ProcessResult } from "./process-request.ts";

export type Tracing = {
  /** Tells of a claim that has just ended; one that took nothing leaves no span. */
  claimed(requests: ClaimedRequest[], durationMs: number): void;
  begin(request: ClaimedRequest): RequestTrace;
};

export type RequestTrace = {
  /** 32 hex digits: the submitter's trace, else one of this process; null without SDK and submitter. */
  readonly traceId: string | null;
  /** The same provider, with a span around each call. */
  traced(provider: Provider): Provider;
  /** Runs what stores the outcome in a span. */
  storing<T>(store: () => Promise<T>): Promise<T>;
  /** `applied` as the observer gets it; null also for what was dropped. */
  end(result: ProcessResult, applied: AppliedOutcome | null): void;
};

/** Spans go to the SDK that is registered with the API when they begin, if any. */
export function createTracing(version?: string): Tracing {
  const tracer = trace.getTracer("llmq", version);
  return {
    claimed(requests, durationMs) {
      if (requests.length === 0) return;
      const startTime = Date.now() - durationMs;
      const attributes = { "llmq.claimed": requests.length };
      const span = tracer.startSpan(
        "claim llm_requests",
        { kind: SpanKind.CONSUMER, startTime, attributes },
        ROOT_CONTEXT,
      );
      if (span.isRecording()) span.addLinks(requests.flatMap(linkToSubmitter));
      span.end();
    },
    begin: (request) => traceOf(tracer, request),
  };
}

/** Sends out what the SDK has gathered: a process that ends would take it along. */
export async function flushSpans(): Promise<void> {
  const registered = trace.getTracerProvider();
  const provider: object = registered instanceof ProxyTracerProvider ? registered.getDelegate() : registered;
  // Not in the API: every SDK has it, the no-op does not.
  if ("forceFlush" in provider && typeof provider.forceFlush === "function") await provider.forceFlush();
}

function traceOf(tracer: Tracer, request: ClaimedRequest): RequestTrace {
  const submitter = submitterSpan(request.context);
  const above = submitter === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, submitter);
  const attributes = attributesOf(request);
  const span = tracer.startSpan("process llm_requests", { kind: SpanKind.CONSUMER, attributes }, above);
  const within = trace.setSpan(above, span);
  const own = span.spanContext();
  return {
    traceId: isSpanContextValid(own) ? own.traceId : null,
    traced: (provider) => ({
      call: (question) => tracedCall(tracer, within, attributes, provider, question),
    }),
    storing: (store) =>
      inSpan(tracer.startSpan("finish llm_requests", { attributes }, within), within, store),
    end(result, applied) {
      describeEnd(span, result, applied);
      span.end();
    },
  };
}

async function tracedCall(
  tracer: Tracer,
  within: Context,
  shared: Attributes,
  provider: Provider,
  question: ProviderRequest,
): Promise<ProviderOutcome> {
  const attributes = { ...shared, ...questionAttributes(question) };
  const name = `${attributes["gen_ai.operation.name"]} ${question.model.modelId}`;
  const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, within);
  return await inSpan(span, within, async () => {
    const outcome = await provider.call(question);
    describeOutcome(span, outcome, question.signal);
    return outcome;
  });
}

/** Runs `work` with the span active, so that what it starts is below it, and ends the span. */
async function inSpan<T>(span: Span, within: Context, work: () => Promise<T>): Promise<T> {
  try {
    return await context.with(trace.setSpan(within, span), work);
  } catch (error) {
    span.setAttribute("error.type", error instanceof Error ? error.name : "_OTHER");
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}

function linkToSubmitter(request: ClaimedRequest) {
  const submitter = submitterSpan(request.context);
  return submitter === null ? [] : [{ context: submitter, attributes: { "llmq.request_id": request.id } }];
}

function attributesOf({ id, agentId, taskType, attempts }: ClaimedRequest): Attributes {
  return {
    "llmq.request_id": id,
    "llmq.agent_id": agentId,
    "llmq.task_type": taskType,
    // Failures so far, and this one.
    "llmq.attempt": attempts + 1,
  };
}

function describeEnd(span: Span, result: ProcessResult, applied: AppliedOutcome | null): void {
  if (result.kind === "dropped") {
    span.setAttribute("llmq.dropped", result.reason);
    return;
  }
  span.setAttributes({ "llmq.status": applied?.status ?? undefined, "llmq.calls": result.calls.length });
  if (applied?.applied && result.kind === "completed") return;
  const failed = applied?.applied && result.kind === "failed" ? errorTypeOf(result.errorClass) : null;
  span.setAttribute("error.type", failed ?? (applied === null ? "not_stored" : "claim_lost"));
  span.setStatus({ code: SpanStatusCode.ERROR });
}
