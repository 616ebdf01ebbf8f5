/** What an SDK that the user brings gets to see of real orchestrators. */
import { type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { submitterSpan } from "../../src/trace-context.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { named, recordSpans } from "../support/spans.ts";
import { type ChatServer, startChatServer } from "./chat-server.ts";
import { configureHttp, configureSim, orchestrators, submit, untilStatus } from "./support.ts";

const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID = "00f067aa0ba902b7";
const TRACEPARENT = `00-${TRACE_ID}-${SPAN_ID}-01`;

const spans = recordSpans();
const running = orchestrators();
let database: TestDatabase;
let chat: ChatServer;

beforeAll(async () => {
  [database, chat] = await Promise.all([createTestDatabase(), startChatServer((call) => call.answer("Hi."))]);
  await configureSim(database);
  await configureHttp(database, "fast", chat.url);
});
afterEach(() => running.stopAll());
afterAll(async () => {
  await chat.close();
  await database.drop();
  spans.end();
});

test("a call is described after the GenAI conventions, below the request, below the span that submitted", async () => {
  await running.start({ url: database.url });
  const context = { traceparent: TRACEPARENT, tracestate: "vendor=1" };
  const settings = { temperature: 0.5, max_tokens: 100 };
  const id = await submit(database, { model: "fast", context, settings });
  const found = await spans.untilProcessed(id);

  const [process] = named(found, "process llm_requests");
  const [call] = named(found, "chat fast");
  const [finish] = named(found, "finish llm_requests");
  expect(process?.parentSpanContext).toMatchObject({ traceId: TRACE_ID, spanId: SPAN_ID, isRemote: true });
  expect(process?.spanContext().traceState?.serialize()).toBe("vendor=1");
  for (const below of [call, finish]) {
    expect(below?.parentSpanContext?.spanId).toBe(process?.spanContext().spanId);
    expect(below?.spanContext().traceId).toBe(TRACE_ID);
  }
  expect([process?.kind, call?.kind]).toEqual([SpanKind.CONSUMER, SpanKind.CLIENT]);
  expect(call?.attributes).toMatchObject({
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "fast",
    "gen_ai.request.model": "fast",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.max_tokens": 100,
    "gen_ai.output.type": "text",
    "gen_ai.response.model": "m",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 3,
    "gen_ai.usage.output_tokens": 2,
    "server.address": "127.0.0.1",
    "server.port": Number(new URL(chat.url).port),
    "llmq.request_id": id,
    "llmq.agent_id": "agent",
    "llmq.attempt": 1,
  });
  expect(call?.attributes).not.toHaveProperty("error.type");
  expect(process?.attributes).toMatchObject({ "llmq.status": "completed", "llmq.calls": 1 });
  expect(JSON.stringify(found.map((span) => span.attributes))).not.toMatch(/hello|Hi\./);
});

test("a claim has a span with links to those who submitted, and none when it took nothing", async () => {
  const submitted = await Promise.all([
    submit(database, { context: { traceparent: TRACEPARENT } }),
    submit(database, { context: { traceparent: "00-mine-01" } }),
    submit(database),
  ]);
  await running.start({ url: database.url });
  await Promise.all(submitted.map((id) => spans.untilProcessed(id)));

  const claims = named(spans.all(), "claim llm_requests");
  const claim = claims.find((span) =>
    span.links.some((link) => link.attributes?.["llmq.request_id"] === submitted[0]),
  );
  expect(claim?.attributes["llmq.claimed"]).toBe(3);
  expect(claim?.links.map((link) => link.context.spanId)).toEqual([SPAN_ID]);
  expect(claims.every((span) => Number(span.attributes["llmq.claimed"]) > 0)).toBe(true);
});

test("each claim of a request that fails and is tried again is an attempt with its error", async () => {
  await running.start({ url: database.url });
  const sim = { error: { status: 500 } };
  const id = await submit(database, { sim, max_attempts: 2, context: { traceparent: TRACEPARENT } });
  const found = await spans.untilProcessed(id, 2);

  const calls = named(found, "chat sim");
  expect(calls.map((span) => span.attributes["llmq.attempt"])).toEqual([1, 2]);
  for (const { attributes, status } of calls) {
    expect(attributes).toMatchObject({ "error.type": "transient", "http.response.status_code": 500 });
    expect(status.code).toBe(SpanStatusCode.ERROR);
  }
  const attempts = named(found, "process llm_requests").map(({ attributes }) => attributes);
  expect(attempts).toMatchObject([
    { "llmq.status": "pending", "error.type": "provider_unavailable" },
    { "llmq.status": "failed", "error.type": "provider_unavailable" },
  ]);
  expect(new Set(found.map((span) => span.spanContext().traceId))).toEqual(new Set([TRACE_ID]));
});

test("an answer that breaks its schema is two calls without an error, of a request with one", async () => {
  await running.start({ url: database.url });
  const response_schema = { type: "object", required: ["n"] };
  const id = await submit(database, { model: "fast", response_schema, max_attempts: 1 });
  const found = await spans.untilProcessed(id);

  const calls = named(found, "chat fast");
  expect(calls).toHaveLength(2);
  for (const { attributes } of calls) {
    expect(attributes["gen_ai.output.type"]).toBe("json");
    expect(attributes).not.toHaveProperty("error.type");
  }
  const [process] = named(found, "process llm_requests");
  expect(process?.parentSpanContext).toBeUndefined();
  expect(process?.attributes).toMatchObject({ "error.type": "malformed_response", "llmq.calls": 2 });
});

test("a call that is cancelled says so, and its request is no error", async () => {
  const { started } = await running.start({ url: database.url });
  const id = await submit(database, { sim: { latency_ms: 600_000 } });
  await untilStatus(database, id, "processing");
  await database.query("select llmq.cancel_llm_request($1)", [id]);
  const found = await spans.untilProcessed(id);

  expect(started).toHaveLength(1);
  expect(named(found, "chat sim")[0]?.attributes["error.type"]).toBe("cancelled");
  const [process] = named(found, "process llm_requests");
  expect(process?.attributes["llmq.dropped"]).toBe("cancelled");
  expect(process?.status.code).toBe(SpanStatusCode.UNSET);
});

test("what a provider does in a call is below the span of the call", async () => {
  const seen: (Span | undefined)[] = [];
  const provider = {
    call: async () => {
      seen.push(trace.getActiveSpan());
      throw new TypeError("a bug");
    },
  };
  await running.start({
    url: database.url,
    providers: { for: () => provider, close: async () => undefined },
  });
  const id = await submit(database, { max_attempts: 1 });
  const [call] = named(await spans.untilProcessed(id), "chat sim");
  expect(seen[0]?.spanContext().spanId).toBe(call?.spanContext().spanId);
  expect(call?.attributes["error.type"]).toBe("TypeError");
  expect((await untilStatus(database, id)).error_type).toBe("exception");
});

test.each([
  [TRACEPARENT, TRACE_ID],
  [` ${TRACEPARENT.toUpperCase()} `, TRACE_ID],
  [`cc-${TRACE_ID}-${SPAN_ID}-01-of-a-later-version`, TRACE_ID],
  [`00-${TRACE_ID}-${SPAN_ID}-01-more`, undefined],
  [`ff-${TRACE_ID}-${SPAN_ID}-01`, undefined],
  [`00-${"0".repeat(32)}-${SPAN_ID}-01`, undefined],
  [`00-${TRACE_ID}-${"0".repeat(16)}-01`, undefined],
  ["", undefined],
  [7, undefined],
])("the traceparent %j belongs to the trace %s", (traceparent, traceId) => {
  expect(submitterSpan({ traceparent })?.traceId).toBe(traceId);
});
