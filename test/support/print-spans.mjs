// An OpenTelemetry set-up for NODE_OPTIONS=--import: spans are printed, in batches that nobody waits for.
import { trace } from "@opentelemetry/api";
import { BatchSpanProcessor, ConsoleSpanExporter, TracerProvider } from "@opentelemetry/sdk-trace";

const exporter = new ConsoleSpanExporter();
const processor = new BatchSpanProcessor({ exporter, scheduledDelayMillis: 3_600_000 });
trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [processor] }));
