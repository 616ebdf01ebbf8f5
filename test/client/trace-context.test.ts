/** The trace of whoever submits travels with the request. */
import { trace } from "@opentelemetry/api";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { SubmitRequest } from "../../src/index.ts";
import type { TestDatabase } from "../support/database.ts";
import { recordSpans } from "../support/spans.ts";
import { clientFactory, createClientDatabase, hello } from "./support.ts";

const spans = recordSpans();
let database: TestDatabase;
const clients = clientFactory(() => database);

beforeAll(async () => {
  database = await createClientDatabase();
});
afterEach(() => clients.closeAll());
afterAll(async () => {
  await database.drop();
  spans.end();
});

/** Runs `work` in a span, and answers what it gave with the `traceparent` of the span. */
function inSpan<T>(work: () => Promise<T>): Promise<{ result: T; traceparent: string }> {
  return trace.getTracer("test").startActiveSpan("work", async (span) => {
    const { traceId, spanId } = span.spanContext();
    const result = await work();
    span.end();
    return { result, traceparent: `00-${traceId}-${spanId}-01` };
  });
}

async function contextOf(id: string): Promise<unknown> {
  const [row] = await database.query("select context from llmq.llm_requests where id = $1", [id]);
  return row?.context;
}

test("the active span is written into the context, beside what is there", async () => {
  const client = clients.create();
  const one = await inSpan(() => client.submit({ ...hello(), context: { ticket: 7 } }));
  expect(await contextOf(one.result)).toEqual({ ticket: 7, traceparent: one.traceparent });
  const many = await inSpan(() => client.submitMany([hello(), hello()]));
  for (const id of many.result) expect(await contextOf(id)).toEqual({ traceparent: many.traceparent });
});

test("submits of different spans that travel in one call keep each its own", async () => {
  const client = clients.create();
  const both = await Promise.all([
    inSpan(() => client.submit(hello())),
    inSpan(() => client.submit(hello())),
  ]);
  for (const { result, traceparent } of both) expect(await contextOf(result)).toEqual({ traceparent });
  expect(both[0]?.traceparent).not.toBe(both[1]?.traceparent);
});

test("a traceparent that was given stays, and outside of a span there is none", async () => {
  const client = clients.create();
  const context = { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" };
  const { result } = await inSpan(() => client.submit({ ...hello(), context }));
  expect(await contextOf(result)).toEqual(context);
  expect(await contextOf(await client.submit(hello()))).toEqual({});
});

test("traceContext: false leaves the context alone", async () => {
  const client = clients.create({ traceContext: false });
  const { result } = await inSpan(() => client.submit(hello()));
  expect(await contextOf(result)).toEqual({});
});

test.each([["text"], [[1]]])(
  "a context that is no object is refused in a span as well: %j",
  async (context) => {
    const client = clients.create();
    const request = { ...hello(), context } as unknown as SubmitRequest;
    await expect(inSpan(() => client.submit(request))).rejects.toMatchObject({ code: "LQ001" });
  },
);
