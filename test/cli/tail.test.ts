import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configureSim, request, submitMany } from "../orchestrator/support.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { type CliOptions, type CliRun, runCli, startCli } from "./run-cli.ts";

let database: TestDatabase;
const runs: CliRun[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  await configureSim(database);
});
afterAll(async () => {
  for (const run of runs) run.kill("SIGKILL");
  await database.drop();
});

/** Connections of `llmq tail` that have looked. */
async function lookers(): Promise<number[]> {
  const rows = await database.query<{ pid: number }>(
    "select pid from pg_stat_activity where datname = current_database() and application_name = 'llmq' and state = 'idle' and query like '%pg_current_xact_id%'",
  );
  return rows.map(({ pid }) => pid);
}

/** Starts `llmq tail`, and waits until it has looked: the connection of an earlier one may still be there. */
async function tail(args: string[], options: CliOptions = {}): Promise<CliRun> {
  const before = await lookers();
  const run = startCli(["tail", ...args], { databaseUrl: database.url, ...options });
  runs.push(run);
  await eventually(async () => (await lookers()).some((pid) => !before.includes(pid)), { timeoutMs: 30_000 });
  return run;
}

async function submit(agent: string): Promise<string> {
  const [id] = await submitMany(database, [request({ agent_id: agent })]);
  await database.query("select llmq.mark_processing($1)", [id]);
  return id as string;
}

async function complete(agent: string): Promise<string> {
  const id = await submit(agent);
  await database.query("select llmq.mark_completed($1, 'The secret answer.')", [id]);
  return id;
}

async function fail(agent: string, errorType: string): Promise<string> {
  const id = await submit(agent);
  await database.query("select llmq.mark_failed($1, $2, 'It would not.')", [id, errorType]);
  return id;
}

const until = (run: CliRun, text: string) =>
  eventually(() => run.printed().includes(text), { what: `a line with ${text}` });

describe("tail", () => {
  test.each(["SIGINT", "SIGTERM"] as const)(
    "prints what finishes from now on, until %s; then exits 0",
    async (signal) => {
      const before = await complete("early");
      const run = await tail([]);
      const completed = await complete("support");
      const failed = await fail("support", "refused");
      await until(run, failed);
      run.kill(signal);
      const { code, stdout, stderr } = await run.result;
      expect([code, stderr]).toEqual([0, ""]);
      const lines = stdout.trimEnd().split("\n");
      expect(lines).toHaveLength(2);
      expect(lines[0]).toMatch(/completed .*support\/task {2}sim/);
      expect(lines[0]).toContain(completed);
      expect(lines[1]).toContain("refused: It would not.");
      expect(stdout).not.toMatch(new RegExp(`${before}|secret|\\x1b`));
    },
  );

  test("--json prints one object per line, for a role that may only read; --since begins earlier", async () => {
    const id = await complete("json");
    const url = new URL(database.url);
    if (database.hasRoles) url.searchParams.set("options", "-c search_path= -c role=llmq_reader");
    const databaseUrl = url.href.replaceAll("+", "%20");
    const run = await tail(["--json", "--since", "10m", "--agent", "json"], { databaseUrl });
    await until(run, id);
    const other = await complete("json");
    await until(run, other);
    run.kill("SIGTERM");
    const lines = (await run.result).stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      {
        id,
        agent_id: "json",
        task_type: "task",
        status: "completed",
        model: "sim",
        error_type: null,
        calls: 1,
      },
      { id: other },
    ]);
    expect(lines[0]).not.toHaveProperty("response");
  });

  test("filters leave the rest out", async () => {
    const [completed, refused, bad] = [
      await complete("f1"),
      await fail("f1", "refused"),
      await fail("f2", "bad_request"),
    ];
    const expectOnly = async (expected: string[], ...args: string[]) => {
      const run = await tail(["--json", "--since", "1h", ...args]);
      for (const id of expected) await until(run, id);
      run.kill("SIGTERM");
      const { stdout } = await run.result;
      const seen = [completed, refused, bad].filter((id) => stdout.includes(id));
      expect(seen, args.join(" ")).toEqual(expected);
    };
    await expectOnly([completed, refused], "--agent", "f1");
    await expectOnly([refused, bad], "--status", "failed");
    await expectOnly([bad], "--error-type", "bad_request");
    await expectOnly([completed, refused, bad], "--model", "sim", "--task-type", "task");
    await expectOnly([refused], "--agent", "f1", "--status", "failed");
  });

  test("a reader that has gone away ends it with 0", async () => {
    const run = await tail([]);
    run.hangUp();
    await complete("gone");
    expect((await run.result).code).toBe(0);
  });

  test("a connection that breaks delays, and loses nothing", async () => {
    const run = await tail(["--agent", "broken"]);
    const cut =
      "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'llmq%'";
    await database.query(cut);
    const id = await complete("broken");
    await until(run, id);
    run.kill("SIGTERM");
    const { code, stdout } = await run.result;
    expect(code).toBe(0);
    expect(stdout.split(id)).toHaveLength(2);
  });

  test.each([
    [["--since", "yesterday"], "Write a duration"],
    [["--status", "pending"], "Allowed choices"],
    [["more"], "too many arguments"],
  ])("%j is a usage error", async (args, message) => {
    const { code, stderr } = await runCli(["tail", ...args], { databaseUrl: database.url });
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});
