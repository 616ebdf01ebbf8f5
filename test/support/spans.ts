import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { eventually } from "./eventually.ts";

/** Registers an OpenTelemetry SDK that keeps the spans that have ended; `end` takes it away. */
export function recordSpans() {
  const exporter = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(
    new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
  );
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  const ofRequest = (id: string) =>
    exporter.getFinishedSpans().filter((span) => span.attributes["llmq.request_id"] === id);
  return {
    all: () => exporter.getFinishedSpans(),
    ofRequest,
    /** The spans of a request, once this many of its claims have ended. */
    untilProcessed: (id: string, claims = 1): Promise<ReadableSpan[]> =>
      eventually(
        () => {
          const spans = ofRequest(id);
          return named(spans, "process llm_requests").length >= claims ? spans : undefined;
        },
        { what: `the span of request ${id}` },
      ),
    end() {
      trace.disable();
      context.disable();
    },
  };
}

export function named(spans: ReadableSpan[], name: string): ReadableSpan[] {
  return spans.filter((span) => span.name === name);
}
