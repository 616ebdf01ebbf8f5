import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { schemaVersion } from "../../src/database/schema-version.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually, waitForBackend } from "../support/eventually.ts";
import { type CliOptions, runCli, startCli } from "./run-cli.ts";

let database: TestDatabase;
let directory: string;

beforeAll(async () => {
  [database, directory] = await Promise.all([
    createTestDatabase(),
    mkdtemp(join(tmpdir(), "llmq-cli-test-")),
  ]);
  await database.query(
    "select llmq.configure_provider('sim', 'sim'), llmq.configure_model('sim', 'sim'), llmq.configure_route('*', array['sim'])",
  );
});
afterAll(async () => {
  await database?.drop();
  await rm(directory, { recursive: true, force: true });
});

function llmq(args: string[], options: CliOptions = {}) {
  return runCli(args, { databaseUrl: database.url, ...options });
}

type Row = Record<string, unknown>;

async function requestOf(id: string): Promise<Row> {
  const [row] = await database.query<Row>("select * from llmq.get_llm_request($1)", [id.trim()]);
  return row ?? {};
}

/** The id of the newest request of an agent in this status, as soon as there is one. */
function submittedBy(agent: string, status = "pending"): Promise<string> {
  return eventually(
    async () => {
      const rows = await database.query<{ id: string }>(
        "select id from llmq.llm_requests where agent_id = $1 and status = $2 order by id desc limit 1",
        [agent, status],
      );
      return rows[0]?.id;
    },
    { what: `a request of ${agent}` },
  );
}

/** Ends the newest request of an agent as an orchestrator would. */
async function finish(agent: string, mark: (id: string) => [string, unknown[]]): Promise<void> {
  const id = await submittedBy(agent);
  await database.query("select llmq.mark_processing($1)", [id]);
  await database.query(...mark(id));
}

describe("submit", () => {
  test("prints the id, and nothing else", async () => {
    const { code, stdout, stderr } = await llmq(["submit", "Hello", "there"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/);
    expect(await requestOf(stdout)).toMatchObject({
      agent_id: "cli",
      task_type: "chat",
      status: "pending",
      messages: [{ role: "user", content: "Hello there" }],
    });
  });

  test("takes every option", async () => {
    const schema = join(directory, "answer.schema.json");
    await writeFile(schema, '{"type": "object"}');
    const { code, stdout, stderr } = await llmq(
      [
        "submit",
        "--agent",
        "a",
        "--task-type",
        "t",
        "--complexity",
        "simple",
        "--model",
        "sim",
        "--priority",
        "-5",
      ].concat(
        [
          "--schema",
          schema,
          "--settings",
          '{"temperature": 0.5}',
          "--system",
          "Be brief.",
          "--idempotency-key",
          "k",
        ],
        ["--tools", '[{"type": "function", "function": {"name": "f"}}]'],
        ["--run-at", "2099-01-01T00:00Z", "--deadline", "2099-01-02", "--json", "-"],
      ),
      { stdin: "from a pipe\n" },
    );
    expect([code, stderr]).toEqual([0, ""]);
    const { id } = JSON.parse(stdout) as { id: string };
    expect(await requestOf(id)).toMatchObject({
      agent_id: "a",
      task_type: "t",
      complexity: "simple",
      model: "sim",
      priority: -5,
      response_schema: { type: "object" },
      settings: { temperature: 0.5 },
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "from a pipe" },
      ],
      idempotency_key: "k",
      run_at: new Date("2099-01-01T00:00Z"),
      deadline: new Date("2099-01-02"),
    });
  });

  test("takes a whole request from a file, options before it", async () => {
    const file = join(directory, "request.json");
    const messages = [{ role: "user", content: "Hi" }];
    await writeFile(
      file,
      JSON.stringify({ agent_id: "file", task_type: "t", messages, context: { a: 1 }, priority: 3 }),
    );
    const { code, stdout } = await llmq(["submit", "--file", file, "--priority", "4"]);
    expect(code).toBe(0);
    expect(await requestOf(stdout)).toMatchObject({
      agent_id: "file",
      messages,
      context: { a: 1 },
      priority: 4,
    });
  });

  test("what the database refuses is told with detail and hint, and is a usage error", async () => {
    const { code, stdout, stderr } = await llmq(["submit", "x", "--settings", '{"temperature": "hot"}']);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("temperature");
    expect(stderr).toContain('"hot"');
    expect(stderr).toContain("LQ001");
    expect((await llmq(["submit", "x", "--model", "nobody"])).code).toBe(2);
    expect((await llmq(["submit", "x", "--reply-to", "nowhere"])).code).toBe(2);
  });

  test.each([
    [[], "no message"],
    [["x", "--priority", "high"], "whole number"],
    [["x", "--run-at", "tomorrow"], "10m"],
    [["x", "--schema", "{broken"], "is not JSON"],
    [["x", "--schema", "missing.json"], "there is no file"],
    [["x", "--bogus"], "unknown option"],
  ])("submit %j is a usage error", async (args, message) => {
    const { code, stderr } = await llmq(["submit", ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});

describe("submit --wait", () => {
  // Also what a first try has left.
  beforeEach(() =>
    database.query(
      "select llmq.cancel_llm_request(id) from llmq.llm_requests where status in ('pending', 'processing')",
    ),
  );

  test("prints the text of the answer", async () => {
    const run = startCli(["submit", "Hello", "--wait", "--agent", "w1"], { databaseUrl: database.url });
    await finish("w1", (id) => ["select llmq.mark_completed($1, 'Good day.')", [id]]);
    expect(await run.result).toMatchObject({ code: 0, stdout: "Good day.\n" });
  });

  test("prints a parsed answer as JSON", async () => {
    const run = startCli(["submit", "Hello", "--wait", "--agent", "w2"], { databaseUrl: database.url });
    await finish("w2", (id) => [
      "select llmq.mark_completed($1, $2::text, parsed_response => $2::text::jsonb)",
      [id, '{"a": [1]}'],
    ]);
    const { code, stdout } = await run.result;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ a: [1] });
    expect(stdout.split("\n").length).toBeGreaterThan(3);
  });

  test("a failed request is told on standard error, with exit code 1", async () => {
    const run = startCli(["submit", "Hello", "--wait", "--agent", "w3"], { databaseUrl: database.url });
    await finish("w3", (id) => ["select llmq.mark_failed($1, 'refused', 'I would rather not.')", [id]]);
    const { code, stdout, stderr } = await run.result;
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("failed, refused: I would rather not.");
  });

  test("--json prints the whole result, also of a cancelled one", async () => {
    const run = startCli(["submit", "Hello", "--wait", "--json", "--agent", "w4"], {
      databaseUrl: database.url,
    });
    await database.query("select llmq.cancel_llm_request($1, 'changed my mind')", [await submittedBy("w4")]);
    const { code, stdout } = await run.result;
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ status: "cancelled", error_message: "changed my mind" });
  });

  test("gives up after the time limit and says why nothing happens", async () => {
    await database.query("delete from llmq.workers");
    const { code, stderr } = await llmq(["submit", "Hello", "--wait", "--timeout", "1.1s", "--agent", "w5"]);
    expect(code).toBe(1);
    expect(stderr).toContain("No orchestrator is alive");
    expect(stderr).toContain(`request ${await submittedBy("w5")} goes on`);
  });

  test.each(["SIGINT", "SIGTERM"] as const)("%s ends the waiting, not the request", async (signal) => {
    const agent = `w-${signal}`;
    const run = startCli(["submit", "Hello", "--wait", "--agent", agent], { databaseUrl: database.url });
    const id = await submittedBy(agent);
    await waitForBackend(database, { queryContains: "wait_for_llm_request", state: "active" });
    run.kill(signal);
    const { code, stderr } = await run.result;
    expect(code).toBe(1);
    expect(stderr).toContain(`interrupted; request ${id} goes on`);
    expect((await requestOf(id)).status).toBe("pending");
  });
});

describe("status", () => {
  test("shows counts, models, orchestrators and failures", async () => {
    const worker =
      "select llmq.register_worker('host:1', info => '{\"in_flight\": 2, \"concurrency\": 10}') as id";
    await database.query(worker);
    await database.query(
      "insert into llmq.model_state (lane, cooling_until, reason) select lane, now() + interval '1 hour', 'too many requests' from llmq.models where name = 'sim'",
    );
    const { code, stdout } = await llmq(["status"]);
    await database.query("delete from llmq.model_state");
    expect(code).toBe(0);
    expect(stdout).toMatch(/pending \d+/);
    expect(stdout).toMatch(/sim +sim +\d+ .*cooling until .*too many requests/);
    expect(stdout).toMatch(/host:1 +alive +2 of 10/);
    expect(stdout).toContain("I would rather not.");
    expect(stdout, "styles in a pipe").not.toContain("\x1b");
  });

  test("--json has the same as data, for a role that may only read", async () => {
    const url = new URL(database.url);
    if (database.hasRoles) url.searchParams.set("options", "-c search_path= -c role=llmq_reader");
    const { code, stdout, stderr } = await llmq(["status", "--json"], {
      databaseUrl: url.href.replaceAll("+", "%20"),
    });
    expect([code, stderr]).toEqual([0, ""]);
    const [finished] = await database.query(
      `select count(*) filter (where status = 'completed')::int as completed,
         count(*) filter (where status = 'failed')::int as failed,
         count(*) filter (where status = 'cancelled')::int as cancelled
       from llmq.llm_requests`,
    );
    expect(JSON.parse(stdout)).toMatchObject({
      schema_version: schemaVersion,
      processing: 0,
      models: [{ name: "sim", provider: "sim", paused: false }],
      workers: expect.any(Array),
      last_hour: finished,
      recent_failures: expect.arrayContaining([expect.objectContaining({ error_type: "refused" })]),
    });
  });
});

describe("explain", () => {
  test("tells in words why a request waits, and what happened to a failed one", async () => {
    const [{ id } = { id: "" }] = await database.query<{ id: string }>(
      "select llmq.submit_llm_request('e', 't', '[{\"role\": \"user\", \"content\": \"x\"}]', run_at => now() + interval '1 day') as id",
    );
    const waiting = await llmq(["explain", id]);
    expect(waiting).toMatchObject({ code: 0, stderr: "" });
    expect(waiting.stdout).toContain("It is not due before");
    await database.query(
      "select llmq.configure_model('limited', 'sim', requests_per_minute => 600, max_concurrency => 7)",
    );
    const [limited] = await database.query<{ id: string }>(
      "select llmq.submit_llm_request('e', 't', '[{\"role\": \"user\", \"content\": \"x\"}]', model => 'limited', run_at => now() + interval '1 day') as id",
    );
    expect((await llmq(["explain", limited?.id ?? ""])).stdout).toContain(
      "limited: 0 of 600 requests/min, 0 of 7 calls at once",
    );
    const failed = await llmq(["explain", await submittedBy("w3", "failed"), "--json"]);
    expect(JSON.parse(failed.stdout)).toMatchObject({ status: "failed", error_type: "refused" });
  });

  test("an unknown request is 1, a word that is no id is 2", async () => {
    const unknown = await llmq(["explain", "01997f3a-5c1e-7d2b-9a40-0242ac120002"]);
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain("LQ002");
    expect((await llmq(["explain", "42"])).code).toBe(2);
    expect((await llmq(["explain"])).code).toBe(2);
  });
});

test("a second signal ends a start whose database does not answer", async () => {
  const silent = createServer((socket) => void socket.on("error", () => undefined));
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const address = silent.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const connected = once(silent, "connection");
  const { result, kill } = startCli(["start"], { databaseUrl: `postgres://nobody@127.0.0.1:${port}/none` });
  const [socket] = await connected;
  kill("SIGTERM");
  kill("SIGINT");
  const { code, stderr } = await result;
  expect([code, stderr]).toEqual([1, "error: interrupted\n"]);
  (socket as Socket).destroy();
  silent.close();
});

describe("prices", () => {
  beforeAll(() =>
    database.query(`
      select llmq.configure_provider('openai', 'openai'), llmq.configure_provider('claude', 'anthropic'),
        llmq.configure_model('small', 'openai', 'gpt-4.1-mini'), llmq.configure_model('mine', 'openai'),
        llmq.configure_model('long', 'claude', 'claude-sonnet-4-5')`),
  );
  afterAll(() => database.query("delete from llmq.models where name in ('small', 'mine', 'long')"));

  test("--import brings those of known models, says how many, and names what is missing", async () => {
    const { code, stdout, stderr } = await llmq(["prices", "--import"]);
    expect([code, stderr]).toEqual([0, "3 prices changed.\n"]);
    expect(stdout).toMatch(/^ +small +0\.40 +0\.10 +1\.60 +1\.60 +genai-prices$/m);
    expect(stdout).toMatch(/^ +long +6\.00 +0\.60 +22\.50 +22\.50 +200,001 tokens +genai-prices$/m);
    expect(stdout).toMatch(/^ +mine +no price$/m);
    expect(stdout).toContain("llmq.configure_price('mine', input, output)");
    expect((await llmq(["prices", "--import"])).stderr).toBe("All prices were up to date.\n");
  });

  test("an orchestrator imports them before it takes work", async () => {
    await database.query("delete from llmq.prices; delete from llmq.workers");
    const { result, kill } = startCli(["start"], {
      databaseUrl: database.url,
      env: { LLMQ_HTTP_PORT: "off" },
    });
    const workers = () => database.query("select from llmq.workers");
    await eventually(async () => (await workers()).length === 1, { what: "an orchestrator" });
    const models = await database.query("select distinct model from llmq.prices order by 1");
    expect(models).toEqual([{ model: "long" }, { model: "small" }]);
    kill("SIGTERM");
    expect((await result).code).toBe(0);
  });

  test("--json has the same as data", async () => {
    await database.query("delete from llmq.prices; select llmq.configure_price('small', 1, 2)");
    expect(JSON.parse((await llmq(["prices", "--json"])).stdout)).toEqual([
      expect.objectContaining({ model: "long", source: null, input_per_million: null }),
      expect.objectContaining({ model: "mine", source: null }),
      expect.objectContaining({
        model: "small",
        source: "manual",
        input_per_million: 1,
        min_input_tokens: 0,
      }),
    ]);
  });
});

describe("cleanup", () => {
  test("removes what is past the retention, and says how many", async () => {
    const finished =
      "select count(*)::int as n from llmq.llm_requests where status in ('completed', 'failed', 'cancelled')";
    expect((await llmq(["cleanup"])).stdout).toBe("Removed 0 finished requests older than 90 days.\n");
    const [before] = await database.query<{ n: number }>(finished);
    const { code, stdout } = await llmq(["cleanup", "--retention", "0 days"]);
    expect([code, stdout]).toEqual([0, `Removed ${before?.n} finished requests older than 0 days.\n`]);
    expect(await database.query(finished)).toEqual([{ n: 0 }]);
  });

  test("a retention that is no interval is a usage error", async () => {
    expect((await llmq(["cleanup", "--retention", "soon"])).code).toBe(2);
    expect((await llmq(["cleanup", "--retention", "-1 day"])).code).toBe(2);
  });
});
