/**
 * W3C Trace Context in a request's own `context`: `traceparent` and `tracestate`, strings as in the HTTP
 * headers of these names. Whoever submits in any language may put them there, and the orchestrator's spans
 * continue that trace. https://www.w3.org/TR/trace-context/
 */
import { createTraceState, isSpanContextValid, type SpanContext, trace } from "@opentelemetry/api";

export type TraceContext = { traceparent: string; tracestate?: string };

/** version-traceid-parentid-flags; versions after 00 may append fields. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** The span that submitted a request; null when it names none, or none that is valid. */
export function submitterSpan(context: Record<string, unknown>): SpanContext | null {
  const { traceparent, tracestate } = context;
  if (typeof traceparent !== "string") return null;
  const [, version, traceId = "", spanId = "", flags = "", more] =
    TRACEPARENT.exec(traceparent.trim().toLowerCase()) ?? [];
  if (version === "ff" || (version === "00" && more !== undefined)) return null;
  const span: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  if (!isSpanContextValid(span)) return null;
  return typeof tracestate === "string" ? { ...span, traceState: createTraceState(tracestate) } : span;
}

/** The span that is active where this is called; null without an OpenTelemetry SDK, or outside of any span. */
export function activeTraceContext(): TraceContext | null {
  const span = trace.getActiveSpan()?.spanContext();
  if (span === undefined || !isSpanContextValid(span)) return null;
  const flags = span.traceFlags.toString(16).padStart(2, "0");
  const traceparent = `00-${span.traceId}-${span.spanId}-${flags}`;
  const tracestate = span.traceState?.serialize();
  return tracestate ? { traceparent, tracestate } : { traceparent };
}
