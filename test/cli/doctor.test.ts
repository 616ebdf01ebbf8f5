import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Check, Patient, Result } from "../../src/cli/doctor/finding.ts";
import { listenerCheck } from "../../src/cli/doctor/listener-check.ts";
import { schemaChecks } from "../../src/cli/doctor/schema-checks.ts";
import { serverChecks, vacuumChecks } from "../../src/cli/doctor/server-checks.ts";
import { workChecks } from "../../src/cli/doctor/work-checks.ts";
import { readConfig } from "../../src/config.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { runCli } from "./run-cli.ts";

const checks = [...serverChecks, listenerCheck, ...schemaChecks, ...vacuumChecks, ...workChecks];

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  await client.query(
    "select llmq.configure_provider('sim', 'sim'), llmq.configure_model('sim', 'sim'), llmq.configure_route('*', array['sim'])",
  );
});
afterAll(async () => await database?.drop());
// What a test breaks is mended by the rollback.
beforeEach(async () => void (await client.query("begin")));
afterEach(async () => void (await client.query("rollback")));

/** What one check finds, as "level: message" lines. */
async function examine(name: string, changes: Partial<Patient> = {}): Promise<string[]> {
  const check = checks.find((one: Check) => one.name === name);
  if (check === undefined) throw new Error(`there is no check ${name}`);
  const patient = { client, listenUrl: database.url, config: readConfig({}), env: {}, ...changes };
  const results: Result[] = [await check.run(patient)].flat();
  for (const { level, todo } of results) {
    expect(todo === undefined).toBe(level === "ok" || level === "skip");
  }
  return results.map(({ level, message }) => `${level}: ${message}`);
}

test("a database that was set up passes every check but those for what does not run", async () => {
  // A notification goes out at the commit.
  await client.query("commit");
  for (const { name } of checks) {
    const findings = await examine(name);
    if (name === "orchestrators") expect(findings).toEqual(["warn: none is alive"]);
    else for (const finding of findings) expect(finding, name).toMatch(/^(ok|skip): /);
  }
});

describe("the schema", () => {
  test("another version than this program's fails", async () => {
    await client.query(
      "create or replace function llmq.schema_version() returns int language sql as 'select 99'",
    );
    expect(await examine("schema")).toEqual([expect.stringMatching(/^fail: version 99/)]);
  });

  test("a migration that is not applied fails", async () => {
    const { rowCount } = await client.query(
      "select from pg_tables where schemaname = 'graphile_migrate' and tablename = 'migrations'",
    );
    if (rowCount === 0) return;
    await client.query("update graphile_migrate.migrations set hash = 'sha1:other'");
    expect(await examine("migrations")).toEqual([expect.stringMatching(/^fail: graphile-migrate's history/)]);
  });

  test("this week's partitions must be there, next week's should, and the default ones be empty", async () => {
    await client.query(
      "insert into llmq.attempts (request_id, number, outcome) values (gen_random_uuid(), 1, 'lost')",
    );
    expect(await examine("partitions")).toEqual(["warn: there are rows in llmq.attempts_default"]);
    const week = (offset: number) =>
      client.query(
        `do $$ begin execute format('drop table llmq.%I', 'results_' || to_char(date_trunc('week', now() at time zone 'UTC') + ${offset} * interval '7 days', 'YYYYMMDD')); end $$`,
      );
    await week(1);
    expect(await examine("partitions")).toEqual(["warn: next week's partitions are missing"]);
    await week(0);
    expect(await examine("partitions")).toEqual(["fail: this week's partitions are missing"]);
  });

  test("a role without its grants is found", async () => {
    if (!database.hasRoles) return;
    await client.query("revoke all on all routines in schema llmq from llmq_client");
    expect(await examine("roles")).toEqual(["warn: llmq_client lack their grants"]);
    await client.query("grant usage on schema llmq to llmq_reader; set local role llmq_reader");
    expect(await examine("roles")).toContain("warn: llmq_reader may not run an orchestrator");
  });

  test("messages that were set aside are told", async () => {
    await client.query(
      "insert into llmq.set_aside (queue_name, message, error) values ('job_results', '{}', 'no')",
    );
    expect(await examine("pgmq")).toContain("warn: 1 message could not be handled");
  });

  test("pgmq: installed and off, a missing queue, gone while in use", async () => {
    if (!database.hasPgmq) return;
    await client.query("update llmq.settings set value = 'false' where name = 'pgmq'");
    expect(await examine("pgmq")).toEqual(["warn: installed, and the copy is off"]);
    await client.query("update llmq.settings set value = 'true' where name = 'pgmq'");
    await client.query("select pgmq.drop_queue('job_results')");
    expect(await examine("pgmq")).toEqual(["fail: queues are missing: job_results"]);
    await client.query("drop extension pgmq cascade");
    expect(await examine("pgmq")).toEqual(["fail: the copy is on and the extension is gone"]);
  });
});

describe("work", () => {
  test("a provider whose key is missing here fails, and names the variable", async () => {
    await client.query(
      "select llmq.configure_provider('groq', 'openai-compatible', 'https://groq.example/v1', 'GROQ_API_KEY')",
    );
    expect(await examine("keys")).toEqual(["ok: no provider needs one"]);
    await client.query("select llmq.configure_model('fast', 'groq')");
    expect(await examine("keys")).toEqual([expect.stringMatching(/^fail: GROQ_API_KEY is not set/)]);
    expect(await examine("keys", { env: { GROQ_API_KEY: "k" } })).toEqual([
      expect.stringMatching(/^ok: GROQ/),
    ]);
  });

  test("paused and cooling models, routes with gaps and unknown models are told", async () => {
    await client.query("select llmq.configure_model('sim', paused => true)");
    expect(await examine("models")).toEqual(["warn: all are paused"]);
    await client.query("select llmq.configure_model('sim', paused => false)");
    await client.query(
      "insert into llmq.model_state (lane, cooling_until, reason) select lane, now() + interval '1 hour', '429' from llmq.models where name = 'sim'",
    );
    expect(await examine("models")).toEqual(["ok: 1: sim", "warn: sim cools down: 429"]);
    await client.query("update llmq.routes set complexity = 'simple', models = array['gone']");
    expect(await examine("routes")).toEqual([
      expect.stringMatching(/^warn: no route .* medium, complex/),
      "warn: routes name models that do not exist: gone",
    ]);
    await client.query("truncate llmq.routes; delete from llmq.models where name = 'sim'");
    expect(await examine("models")).toEqual(["fail: none is configured"]);
  });

  test("a model that costs something and has no price is named", async () => {
    expect(await examine("prices")).toEqual(["ok: no model costs anything"]);
    await client.query(
      "select llmq.configure_provider('openai', 'openai'), llmq.configure_model('one', 'openai'), llmq.configure_model('two', 'openai')",
    );
    await client.query("select llmq.configure_price('one', 1, 2)");
    expect(await examine("prices")).toEqual([expect.stringMatching(/^warn: none for two: /)]);
    await client.query("select llmq.configure_price('two', 1, 2)");
    expect(await examine("prices")).toEqual(["ok: every model has one"]);
  });

  test("waiting requests with no orchestrator alive fail, and one that vanished is told", async () => {
    await client.query(
      'select llmq.submit_llm_request(\'a\', \'t\', \'[{"role": "user", "content": "x"}]\')',
    );
    expect(await examine("orchestrators")).toEqual(["fail: none is alive, and 1 wait"]);
    await client.query("select llmq.register_worker('alive'), llmq.register_worker('lost')");
    await client.query(
      "update llmq.workers set heartbeat_at = now() - interval '1 hour' where name = 'lost'",
    );
    expect(await examine("orchestrators")).toEqual([
      "ok: 1 alive",
      "warn: 1 orchestrator stopped without signing off",
    ]);
  });

  test("autovacuum switched off for a table fails", async () => {
    await client.query("alter table llmq.queue set (autovacuum_enabled = false)");
    expect(await examine("autovacuum")).toEqual(["fail: autovacuum is off for llmq.queue"]);
  });
});

describe("the server", () => {
  test("too few connections for two orchestrators are told", async () => {
    expect(await examine("connections", { config: readConfig({ LLMQ_POOL_SIZE: "1000" }) })).toEqual([
      expect.stringMatching(/^warn: \d+ of \d+ are free; an orchestrator uses up to 1001/),
    ]);
  });

  test("whatever holds back vacuum is named, with what to do", async () => {
    const rows = [
      { kind: "transaction", name: "pid 7, me", seconds: 7200 },
      { kind: "prepared", name: "gid", seconds: 600 },
      { kind: "slot", name: "replica", seconds: 0 },
    ];
    const query = async () => ({ rows });
    expect(await examine("old snapshots", { client: { query } as unknown as pg.Client })).toEqual([
      "warn: a transaction has been open for 2 h (pid 7, me)",
      "warn: the prepared transaction gid is 10 min old",
      "warn: the replication slot replica holds back vacuum by over a million transactions",
    ]);
  });
});

describe("LISTEN", () => {
  test("a notification that gets lost on the way is a warning: polling does the work", async () => {
    const other = await createTestDatabase({ empty: true });
    try {
      await client.query("commit");
      expect(await examine("LISTEN", { listenUrl: other.url })).toEqual([
        expect.stringMatching(/^warn: .* did not arrive/),
      ]);
    } finally {
      await other.drop();
    }
  });

  test("a listener URL that leads nowhere fails, without showing its password", async () => {
    const [finding] = await examine("LISTEN", { listenUrl: "postgres://me:hunter2@127.0.0.1:1/x" });
    expect(finding).toMatch(/^fail: no connection to postgres:\/\/me:\*\*\*@127\.0\.0\.1:1\/x/);
  });

  test("with notifications off it is skipped", async () => {
    expect(await examine("LISTEN", { config: readConfig({ LLMQ_NOTIFY: "off" }) })).toEqual([
      expect.stringMatching(/^skip: /),
    ]);
  });
});

describe("the command", () => {
  test("exits 0 when nothing fails, and prints a level, a name and a finding per line", async () => {
    const { code, stdout, stderr } = await runCli(["doctor"], { databaseUrl: database.url });
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^ok {3}connection /);
    expect(stdout).toMatch(/^warn orchestrators +none is alive\n +Run: llmq start$/m);
  });

  test("exits 1 with the schema missing or the server away, and says it in JSON as well", async () => {
    const away = await runCli(["doctor", "--json"], { databaseUrl: "postgres://me@127.0.0.1:1/x" });
    expect(away.code).toBe(1);
    expect(JSON.parse(away.stdout)).toMatchObject({
      failed: 1,
      checks: [{ check: "connection", level: "fail" }],
    });
    const empty = await createTestDatabase({ empty: true });
    const bare = await runCli(["doctor"], { databaseUrl: empty.url }).finally(() => empty.drop());
    expect(bare.code).toBe(1);
    expect(bare.stdout).toMatch(/^fail schema .*\n +Run: llmq migrate$/m);
  });
});
