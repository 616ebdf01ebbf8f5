import { afterAll, beforeAll, expect, test } from "vitest";
import { configureSim, submit, untilStatus } from "../orchestrator/support.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { startCli } from "./run-cli.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await configureSim(database);
});
afterAll(() => database.drop());

test("llmq start gives its spans to the SDK that NODE_OPTIONS brings, the last ones as it ends", async () => {
  const setUp = new URL("../support/print-spans.mjs", import.meta.url);
  const env = { NODE_OPTIONS: `--import ${setUp.href}`, LLMQ_HTTP_PORT: "off" };
  const run = startCli(["start"], { databaseUrl: database.url, env });
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const id = await submit(database, { context: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` } });
  await untilStatus(database, id, "completed");
  run.kill("SIGTERM");
  const { code, stdout } = await run.result;
  expect(code).toBe(0);
  for (const name of ["claim llm_requests", "process llm_requests", "chat sim", "finish llm_requests"]) {
    expect(stdout).toContain(`name: '${name}'`);
  }
  expect(stdout).toContain(`traceId: '${traceId}'`);
  expect(stdout).toContain(`'llmq.request_id': '${id}'`);
});
