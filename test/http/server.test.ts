import { request } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { schemaVersion } from "../../src/database/schema-version.ts";
import { UsageError } from "../../src/errors.ts";
import { createMetrics } from "../../src/http/metrics.ts";
import { createHttpServer, type HttpServer, type HttpServerOptions } from "../../src/http/server.ts";
import { createLogger } from "../../src/logger.ts";
import { wellStats } from "./stats.ts";

type Pool = HttpServerOptions["pool"];

/** Answers every query with these rows, or fails with this error. */
function poolThat(result: { rows: object[] } | Error): Pool {
  const query = async () => {
    if (result instanceof Error) throw result;
    return result;
  };
  return { query } as unknown as Pool;
}

const healthy = poolThat({ rows: [{ version: schemaVersion }] });
const open: HttpServer[] = [];
const lines: string[] = [];

async function serve(options: Partial<HttpServerOptions> = {}): Promise<string> {
  const server = createHttpServer({
    host: "127.0.0.1",
    port: 0,
    token: null,
    pool: healthy,
    metrics: createMetrics(),
    stats: () => wellStats(),
    logger: createLogger({ level: "debug", stream: { write: (line: string) => void lines.push(line) } }),
    ...options,
  });
  open.push(server);
  return await server.start();
}

beforeEach(() => {
  lines.length = 0;
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.stop()));
});

describe("/healthz and /readyz", () => {
  test("a process that lives says so, whatever the database does", async () => {
    const url = await serve({ pool: poolThat(new Error("down")) });
    const response = await fetch(`${url}/healthz`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      status: "alive",
      checks: [{ name: "process", ok: true, message: expect.stringMatching(/^up for [\d.]+ s$/) }],
    });
  });

  test("ready means: the database answers, its schema is ours, the orchestrator is registered and claims", async () => {
    const response = await fetch(`${await serve()}/readyz`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      status: "ready",
      checks: [
        { name: "database", ok: true, message: "it answers" },
        { name: "schema", ok: true, message: `version ${schemaVersion}` },
        { name: "registered", ok: true, message: "worker w" },
        {
          name: "claiming",
          ok: true,
          message: expect.stringMatching(/^last looked for work [\d.]+ s ago, 3 of 1000 in flight$/),
        },
        { name: "listener", ok: true, message: "listening" },
      ],
    });
  });

  test.each([
    [
      "the database is down",
      { pool: poolThat(new Error("connection refused")) },
      "database",
      "connection refused",
    ],
    [
      "there is no schema",
      { pool: poolThat(Object.assign(new Error("no"), { code: "3F000" })) },
      "schema",
      "run llmq migrate",
    ],
    [
      "the schema is another version",
      { pool: poolThat({ rows: [{ version: 99 }] }) },
      "schema",
      "version 99",
    ],
    [
      "the database does not answer in time",
      { pool: { query: () => new Promise(() => undefined) } as unknown as Pool },
      "database",
      "no answer within 3 s",
    ],
    [
      "the orchestrator is not registered",
      { stats: () => wellStats({ workerId: null }) },
      "registered",
      "not registered",
    ],
    [
      "the loop has not looked for work yet",
      { stats: () => wellStats({ lastLookAt: null }) },
      "claiming",
      "not looked for work yet",
    ],
    [
      "the loop stands still",
      { stats: () => wellStats({ lastLookAt: new Date(Date.now() - 11_000) }) },
      "claiming",
      "last looked for work 11",
    ],
    [
      "the orchestrator takes no more",
      { stats: () => wellStats({ stopping: true }) },
      "claiming",
      "shutting down, 3 in flight",
    ],
  ])("503 with the reason when %s", async (_, options, name, message) => {
    const response = await fetch(`${await serve(options)}/readyz`);
    expect(response.status).toBe(503);
    const { checks } = (await response.json()) as {
      checks: { name: string; ok: boolean; message: string }[];
    };
    const failed = checks.filter((check) => !check.ok);
    expect(failed).toEqual([{ name, ok: false, message: expect.stringContaining(message) }]);
  });
});

describe("what is no reason not to be ready", () => {
  test.each([
    ["a listener that is down: it polls", { listenerMode: "polling" as const }],
    [
      "a loop that sleeps for long because it was told to",
      { pollIntervalMs: 60_000, lastLookAt: new Date(Date.now() - 70_000) },
    ],
  ])("%s", async (_, over) => {
    const response = await fetch(`${await serve({ stats: () => wellStats(over) })}/readyz`);
    expect(response.status).toBe(200);
  });
});

describe("the token", () => {
  test("guards everything but the probes", async () => {
    const url = await serve({ token: "s3cret-token" });
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect((await fetch(`${url}/metrics`)).status).toBe(401);
    expect((await fetch(`${url}/nowhere`)).status).toBe(401);
  });

  test("opens with exactly itself", async () => {
    const url = await serve({ token: "s3cret-token" });
    const withHeader = (authorization: string) => fetch(`${url}/metrics`, { headers: { authorization } });
    expect((await withHeader("Bearer s3cret-token")).status).toBe(200);
    expect((await withHeader("bearer s3cret-token")).status).toBe(200);
    for (const wrong of [
      "Bearer s3cret-toke",
      "Bearer s3cret-tokens",
      "s3cret-token",
      "Basic s3cret-token",
      "Bearer ",
    ]) {
      expect((await withHeader(wrong)).status).toBe(401);
    }
  });
});

describe("requests", () => {
  test("other paths are 404, other methods 405, and HEAD has no body", async () => {
    const url = await serve();
    expect((await fetch(`${url}/`)).status).toBe(404);
    expect((await fetch(`${url}/metrics`, { method: "POST" })).status).toBe(405);
    const head = await fetch(`${url}/healthz`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  test("on a loopback address a name from the outside is refused", async () => {
    const { port } = new URL(await serve());
    expect(await statusFor(port, "attacker.example")).toBe(421);
    expect(await statusFor(port, `attacker.example:${port}`)).toBe(421);
    expect(await statusFor(port, `localhost:${port}`)).toBe(200);
    expect(await statusFor(port, `[::1]:${port}`)).toBe(200);
  });

  test("a failing scrape is answered with 500 and logged without its message going out", async () => {
    const render = async () => {
      throw new Error("inner details");
    };
    const url = await serve({ metrics: { render, contentType: "text/plain" } });
    const response = await fetch(`${url}/metrics`);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("inner details");
    expect(lines.join("")).toContain("inner details");
  });
});

describe("starting and stopping", () => {
  test("a port in use is a usage error that names the variable", async () => {
    const url = await serve();
    const error = await serve({ port: Number(new URL(url).port) }).catch((caught) => caught);
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toContain("another process uses it");
    expect(error.hint).toContain("LLMQ_HTTP_PORT");
  });

  test("metrics that are open to the network are warned about", async () => {
    await serve({ host: "0.0.0.0" });
    expect(lines.join("")).toContain("LLMQ_HTTP_TOKEN");
  });

  test("stopping twice, or before the start, is harmless, and ends idle connections", async () => {
    const url = await serve();
    await fetch(`${url}/healthz`);
    const [server] = open;
    await Promise.all([server?.stop(), server?.stop()]);
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  });
});

function statusFor(port: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path: "/healthz", headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
}
