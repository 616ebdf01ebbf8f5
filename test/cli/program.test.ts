import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configVariables } from "../../src/config.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { runCli } from "./run-cli.ts";

let empty: TestDatabase;
let directory: string;

beforeAll(async () => {
  [empty, directory] = await Promise.all([
    createTestDatabase({ empty: true }),
    mkdtemp(join(tmpdir(), "llmq-cli-test-")),
  ]);
  // The embedded server may run as another user than this one.
  await chmod(directory, 0o755);
});
afterAll(async () => {
  await empty?.drop();
  await rm(directory, { recursive: true, force: true });
});

describe("help and usage", () => {
  test("--help lists every command and every variable", async () => {
    const { code, stdout } = await runCli(["--help"]);
    expect(code).toBe(0);
    for (const command of [
      "migrate",
      "start",
      "demo",
      "submit",
      "status",
      "tail",
      "explain",
      "prices",
      "cleanup",
      "doctor",
    ]) {
      expect(stdout).toMatch(new RegExp(`^  ${command} `, "m"));
    }
    for (const { name } of configVariables) expect(stdout).toContain(name);
  });

  test.each([
    "migrate",
    "start",
    "demo",
    "submit",
    "status",
    "tail",
    "explain",
    "prices",
    "cleanup",
    "doctor",
  ])("%s has a help of its own", async (command) => {
    const { code, stdout } = await runCli([command, "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: llmq ${command}`);
    expect(stdout).toContain("--database-url");
  });

  test("--version prints the package's version", async () => {
    const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
    expect(await runCli(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n` });
  });

  test.each([[[]], [["bogus"]], [["status", "--bogus"]], [["status", "too", "many"]]])(
    "%j is a usage error: exit code 2, nothing on standard output",
    async (args) => {
      const { code, stdout, stderr } = await runCli(args);
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).not.toBe("");
    },
  );
});

describe("configuration", () => {
  test("wrong variables are listed all at once, with exit code 2", async () => {
    const env = { LLMQ_CONCURRENCY: "many", LLMQ_NOTIFY: "perhaps", DATABASE_URL: "mysql://x" };
    const { code, stderr } = await runCli(["status"], { env });
    expect(code).toBe(2);
    for (const name of Object.keys(env)) expect(stderr).toContain(name);
  });

  test("--database-url goes before DATABASE_URL, in front of the command or behind it", async () => {
    const databaseUrl = "postgres://nobody@127.0.0.1:1/nowhere";
    const before = await runCli(["--database-url", empty.url, "status"], { databaseUrl });
    const behind = await runCli(["status", "--database-url", empty.url], { databaseUrl });
    for (const { code, stderr } of [before, behind]) {
      expect(code).toBe(2);
      expect(stderr).toContain("no schema llmq");
      expect(stderr).toContain("llmq migrate");
    }
  });

  test("a server that is not there is told as such, with exit code 1", async () => {
    const { code, stderr } = await runCli(["status"], { databaseUrl: "postgres://me@127.0.0.1:1/x" });
    expect(code).toBe(1);
    expect(stderr).toContain("no connection to the database");
    expect(stderr).toContain("DATABASE_URL");
  });

  test("without DATABASE_URL and without embedded data nothing is made on the side", async () => {
    const { code, stderr } = await runCli(["status"], { cwd: directory });
    expect(code).toBe(2);
    expect(stderr).toContain("there is no database");
  });
});

describe("migrate", () => {
  test("makes the schema in an empty database, and finds nothing to do the second time", async () => {
    const database = await createTestDatabase({ empty: true });
    try {
      const first = await runCli(["migrate"], { databaseUrl: database.url });
      expect(first).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/up to date: \d+ migrations? applied/),
      });
      await database.query(
        "select llmq.configure_provider('openai', 'openai'), llmq.configure_model('gpt-4.1', 'openai')",
      );
      const second = await runCli(["migrate"], { databaseUrl: database.url });
      expect(second).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^The schema llmq is up to date\.\n1 price changed; /),
      });
    } finally {
      await database.drop();
    }
  });

  test("makes an embedded database, which the next commands find", async () => {
    const env = { LLMQ_DATA_DIR: directory };
    expect(await runCli(["migrate"], { env })).toMatchObject({ code: 0 });
    const { code, stdout, stderr } = await runCli(["status", "--json"], { env });
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({ database: "llmq", pending: 0 });
  });
});
