import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfigError, configVariables, maskPassword, readConfig } from "../src/config.ts";

/** The problems of an environment, by variable. */
function problemsOf(env: Record<string, string>): Record<string, string> {
  try {
    readConfig(env);
    return {};
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return Object.fromEntries(error.problems.map((one) => [one.variable, one.expected]));
  }
}

describe("defaults", () => {
  test("an empty environment gives the documented defaults", () => {
    expect(readConfig({})).toEqual({
      databaseUrl: null,
      listenUrl: null,
      llmPollIntervalMs: 100,
      llmBatchSize: 50,
      sharedPollIntervalMs: 1000,
      sharedBatchSize: 100,
      retentionDays: 90,
      concurrency: 1000,
      http: {
        host: "127.0.0.1",
        port: 8474,
        token: null,
        dashboard: { prompts: "show", databaseUrl: null },
      },
      notify: true,
      logLevel: "info",
      poolSize: 5,
      heartbeatIntervalMs: 5000,
      shutdownGraceMs: 30_000,
      dataDir: ".llmq",
      keys: [],
      baseUrls: { openai: null, anthropic: null },
      secrets: [],
    });
  });

  test("a variable that is empty or blank counts as not set", () => {
    const blank = Object.fromEntries(configVariables.map(({ name }) => [name, "  "]));
    expect(readConfig(blank)).toEqual(readConfig({}));
  });

  test("writing every default out changes nothing", () => {
    const written = configVariables
      .filter(({ name }) => !name.endsWith("DATABASE_URL") && name !== "LLMQ_LISTEN_URL")
      .map((one) => [one.name, one.default]);
    expect(readConfig(Object.fromEntries(written))).toEqual(readConfig({}));
  });

  test("the listener takes the database's URL unless it has its own", () => {
    const databaseUrl = "postgres://me@pooler:6432/app";
    expect(readConfig({ DATABASE_URL: databaseUrl }).listenUrl).toBe(databaseUrl);
    const listenUrl = "postgresql://me@server/app";
    expect(readConfig({ DATABASE_URL: databaseUrl, LLMQ_LISTEN_URL: listenUrl }).listenUrl).toBe(listenUrl);
  });
});

describe("values", () => {
  test("every number is read", () => {
    const config = readConfig({
      SHARED_QUEUE_LLM_POLL_MS: "20",
      SHARED_QUEUE_LLM_BATCH_SIZE: "500",
      SHARED_QUEUE_POLL_MS: "250",
      SHARED_QUEUE_BATCH_SIZE: "10",
      SHARED_QUEUE_RETENTION_DAYS: "30",
      LLMQ_CONCURRENCY: "64",
      LLMQ_HTTP_PORT: "0",
      LLMQ_POOL_SIZE: "9",
      LLMQ_HEARTBEAT_MS: "1000",
      LLMQ_SHUTDOWN_GRACE_MS: "0",
    });
    expect(config).toMatchObject({
      llmPollIntervalMs: 20,
      llmBatchSize: 500,
      sharedPollIntervalMs: 250,
      sharedBatchSize: 10,
      retentionDays: 30,
      concurrency: 64,
      http: { port: 0 },
      poolSize: 9,
      heartbeatIntervalMs: 1000,
      shutdownGraceMs: 0,
    });
  });

  test("the HTTP server and notifications can be turned off", () => {
    expect(readConfig({ LLMQ_HTTP_PORT: "off" }).http).toBeNull();
    expect(readConfig({ LLMQ_NOTIFY: "off" }).notify).toBe(false);
    expect(readConfig({ LLMQ_NOTIFY: "OFF" }).notify).toBe(false);
    expect(readConfig({ LLMQ_NOTIFY: "true" }).notify).toBe(true);
  });

  test("the dashboard can be turned off, hide what was said, and have a role of its own", () => {
    expect(readConfig({ LLMQ_DASHBOARD: "off" }).http).toMatchObject({ port: 8474, dashboard: null });
    const databaseUrl = "postgres://viewer@localhost/app";
    expect(
      readConfig({ LLMQ_DASHBOARD_PROMPTS: "hide", LLMQ_DASHBOARD_DATABASE_URL: databaseUrl }).http
        ?.dashboard,
    ).toEqual({ prompts: "hide", databaseUrl });
  });

  test("keys are found in the order of preference, and all secrets are known", () => {
    const config = readConfig({
      GOOGLE_GENERATIVE_AI_API_KEY: "g-key",
      OPENAI_API_KEY: "o-key",
      LLMQ_HTTP_TOKEN: "t0ken",
      OPENAI_BASE_URL: "http://localhost:11434/v1",
    });
    expect(config.keys).toEqual(["openai", "google"]);
    expect(config.baseUrls.openai).toBe("http://localhost:11434/v1");
    expect(config.secrets.toSorted()).toEqual(["g-key", "o-key", "t0ken"]);
  });

  test.each([
    "postgres://localhost/app",
    "postgresql://me:p%40ss@[::1]:5432/app?sslmode=require",
    "postgres://me@/app?host=/run/postgresql",
    "postgres:///app",
  ])("%s is a database URL", (url) => {
    expect(readConfig({ DATABASE_URL: url }).databaseUrl).toBe(url);
  });
});

describe("wrong values", () => {
  test("are all reported at once, with what was expected", () => {
    expect(
      problemsOf({
        DATABASE_URL: "mysql://localhost/app",
        SHARED_QUEUE_LLM_POLL_MS: "0",
        SHARED_QUEUE_LLM_BATCH_SIZE: "1001",
        SHARED_QUEUE_RETENTION_DAYS: "90 days",
        LLMQ_CONCURRENCY: "-1",
        LLMQ_HTTP_PORT: "65536",
        LLMQ_NOTIFY: "maybe",
        LLMQ_LOG_LEVEL: "loud",
        OPENAI_BASE_URL: "localhost:11434",
        LLMQ_HTTP_TOKEN: "two words",
        LLMQ_DASHBOARD_PROMPTS: "some",
      }),
    ).toEqual({
      DATABASE_URL: expect.stringContaining("postgres://"),
      SHARED_QUEUE_LLM_POLL_MS: "a whole number from 1 to 3600000",
      SHARED_QUEUE_LLM_BATCH_SIZE: "a whole number from 1 to 1000",
      SHARED_QUEUE_RETENTION_DAYS: "a whole number from 1 to 36500",
      LLMQ_CONCURRENCY: "a whole number from 1 to 100000",
      LLMQ_HTTP_PORT: "a whole number from 0 to 65535, or off",
      LLMQ_NOTIFY: "one of on, off, true, false",
      LLMQ_LOG_LEVEL: "one of trace, debug, info, warn, error, fatal, silent",
      OPENAI_BASE_URL: "an http or https URL",
      LLMQ_HTTP_TOKEN: "printable ASCII characters without spaces",
      LLMQ_DASHBOARD_PROMPTS: "one of show, hide",
    });
  });

  test("a setting that no number could be is refused, never rounded", () => {
    for (const value of ["1e3", "0x10", "1.5", " ", "NaN", "Infinity", "9".repeat(30), "1_000", "١٢"]) {
      if (value.trim() !== "")
        expect(problemsOf({ LLMQ_CONCURRENCY: value })).toHaveProperty("LLMQ_CONCURRENCY");
    }
  });

  test("passwords and secrets are not repeated", () => {
    const env = { DATABASE_URL: "mysql://me:hunter2:x@host/app", LLMQ_HTTP_TOKEN: "sec ret" };
    const error = (() => {
      try {
        readConfig(env);
      } catch (caught) {
        return caught as ConfigError;
      }
      throw new Error("it was accepted");
    })();
    expect(error.message).not.toMatch(/hunter2|sec ret/);
    expect(error.message).toContain("mysql://me:***@host/app");
    expect(error.exitCode).toBe(2);
  });

  test("whatever the environment holds, it is read or refused with a ConfigError", () => {
    const names = configVariables.map((one) => one.name);
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), fc.string({ unit: "binary" })), (env) => {
        for (const [variable, expected] of Object.entries(problemsOf(env))) {
          expect(names).toContain(variable);
          expect(expected).not.toBe("");
        }
      }),
    );
  });
});

test("a URL is shown without its password", () => {
  expect(maskPassword("postgres://me:a:b@c@host/app")).toBe("postgres://me:***@host/app");
  expect(maskPassword("postgres://me@host/app?password=x&a=1")).toBe(
    "postgres://me@host/app?password=***&a=1",
  );
  expect(maskPassword("postgres://host/app")).toBe("postgres://host/app");
});
