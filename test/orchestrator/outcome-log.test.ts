/** The log of an orchestrator: one line per outcome. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { configureSim, type LogLine, orchestrators, submit, untilStatus } from "./support.ts";

const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const running = orchestrators();
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await configureSim(database);
});
afterEach(() => running.stopAll());
afterAll(() => database.drop());

/** The lines about a request, once it has ended and as many are there. */
async function linesOf(lines: LogLine[], id: string, count: number): Promise<LogLine[]> {
  await untilStatus(database, id);
  return eventually(
    () => {
      const found = lines.filter((line) => line.requestId === id);
      return found.length >= count ? found : undefined;
    },
    { what: `${count} lines about request ${id}` },
  );
}

test("a completed request is one line with what it took, and the submitter's trace", async () => {
  const { lines } = await running.start({ url: database.url });
  const context = { traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-01` };
  const id = await submit(database, { context, sim: { latency_ms: 30, text: "The secret answer." } });
  const found = await linesOf(lines, id, 1);
  expect(found).toMatchObject([
    {
      level: 30,
      msg: "request completed",
      agentId: "agent",
      taskType: "task",
      model: "sim",
      status: "completed",
      attempt: 1,
      calls: 1,
      latencyMs: expect.any(Number),
      inputTokens: expect.any(Number),
      outputTokens: expect.any(Number),
      traceId: TRACE_ID,
    },
  ]);
  expect(found[0]?.latencyMs).toBeGreaterThanOrEqual(25);
});

test("each failure of a request is a line, with its type and the provider's words, and when it runs again", async () => {
  const { lines } = await running.start({ url: database.url });
  const sim = { error: { status: 500, message: "out of order" } };
  const id = await submit(database, { sim, max_attempts: 2 });
  const error = { errorType: "provider_unavailable", errorClass: "transient" };
  const errorMessage = expect.stringContaining("out of order");
  const found = await linesOf(lines, id, 2);
  expect(found).toMatchObject([
    { msg: "request will be tried again", status: "pending", attempt: 1, ...error, errorMessage },
    { msg: "request failed", level: 40, status: "failed", attempt: 2, ...error, errorMessage },
  ]);
  expect(found[0]).toHaveProperty("runAt");
  expect(found[1]).not.toHaveProperty("traceId");
});

test("a misconfigured model is an error", async () => {
  const { lines } = await running.start({ url: database.url });
  await database.query("select llmq.configure_model('wrong', 'sim')");
  const id = await submit(database, { model: "wrong", sim: { error: { class: "configuration" } } });
  const [line] = await eventually(() => {
    const found = lines.filter((one) => one.requestId === id);
    return found.length > 0 ? found : undefined;
  });
  expect(line).toMatchObject({ level: 50, errorType: "provider_unavailable", errorClass: "configuration" });
  await database.query("select llmq.cancel_llm_request($1)", [id]);
});

test("no line quotes a prompt or an answer, however the request ended", async () => {
  const { lines } = await running.start({ url: database.url });
  const secret = "the-secret-words";
  const messages = [{ role: "user", content: secret }];
  const given = { messages, max_attempts: 1, settings: { validation_retries: 0 } };
  const response_schema = { type: "object", required: ["n"] };
  const ids = await Promise.all([
    submit(database, { ...given, sim: { text: secret } }),
    submit(database, { ...given, response_schema, sim: { text: `{"${secret}": ` } }),
    submit(database, { ...given, response_schema, sim: { json: { [secret]: 1 } } }),
    submit(database, { ...given, response_schema, sim: { text: `{"${secret}`, finish_reason: "length" } }),
    submit(database, { ...given, sim: { error: { class: "refused", message: `refused: ${secret}` } } }),
    submit(database, {
      ...given,
      sim: { error: { class: "bad_request", message: `no such role: ${secret}` } },
    }),
    submit(database, { ...given, sim: { error: { class: "too_long", message: `too long: ${secret}` } } }),
  ]);
  const found = (await Promise.all(ids.map((id) => linesOf(lines, id, 1)))).flat();
  const types = found.map((line) => line.errorType ?? line.status);
  expect(new Set(types)).toEqual(
    new Set(["completed", "malformed_response", "truncated", "refused", "bad_request", "too_long"]),
  );
  expect(JSON.stringify(lines)).not.toContain(secret);
});
