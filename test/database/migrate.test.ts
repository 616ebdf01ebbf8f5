import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readInstallScript } from "../../scripts/sql-sources.ts";
import { type MigrateOptions, migrate } from "../../src/database/migrate.ts";
import { createTestDatabase, type TestDatabase, testServer } from "../support/database.ts";
import { eventually, waitForBackend } from "../support/eventually.ts";
import { type MigrationsFolder, smallSchema, writeMigrations } from "../support/migrations.ts";

let database: TestDatabase;
let folders: MigrationsFolder[];
let told: string[];

beforeEach(async () => {
  database = await createTestDatabase({ empty: true });
  folders = [];
  told = [];
});
afterEach(async () => {
  await database.drop();
  await Promise.all(folders.map((folder) => folder.remove()));
});

const say = (_fields: object, message: string) => void told.push(message);
const log = { debug: () => {}, info: say, warn: say };

function run(options: Partial<MigrateOptions> = {}) {
  return migrate({ connectionString: database.url, log, ...options });
}

async function folderOf(...bodies: string[]): Promise<MigrationsFolder> {
  const folder = await writeMigrations(...bodies);
  folders.push(folder);
  return folder;
}

async function schemas(): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    "select nspname as name from pg_namespace where nspname in ('llmq', 'graphile_migrate') order by 1",
  );
  return rows.map((row) => row.name);
}

describe("migrating", () => {
  test("an empty database installs everything, and again does nothing", async () => {
    expect(await run()).toMatchObject({ applied: ["000001.sql"], alreadyCurrent: false });
    expect(await run()).toMatchObject({ applied: [], alreadyCurrent: true });
    expect(await database.query("select llmq.schema_version() as version")).toEqual([{ version: 1 }]);
  });

  test("turns the copy to pgmq on when the extension is there", async (context) => {
    if (!testServer().hasPgmq) return context.skip("this server has no pgmq");
    expect(await run()).toMatchObject({ pgmq: false });
    expect(told.join()).toContain("pgmq is available and not used");
    await database.query("create extension pgmq");
    expect(await run()).toMatchObject({ alreadyCurrent: true, pgmq: true });
    const queues = await database.query<{ queue_name: string }>(
      "select queue_name from pgmq.meta order by 1",
    );
    expect(queues.map((row) => row.queue_name)).toEqual([
      "approval_responses",
      "job_results",
      "llm_requests",
      "llm_results",
      "question_responses",
    ]);
  });

  test("leaves a copy off that was turned off", async (context) => {
    if (!testServer().hasPgmq) return context.skip("this server has no pgmq");
    await database.query("create extension pgmq");
    expect(await run()).toMatchObject({ pgmq: true });
    await database.query("update llmq.settings set value = 'false' where name = 'pgmq'");
    expect(await run()).toMatchObject({ pgmq: false });
    expect(told.join()).toContain("enable_pgmq");
    expect(await database.query("select llmq.setting('pgmq') as value")).toEqual([{ value: false }]);
  });

  test("from ten places at once is done by one of them, and all come back", async () => {
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => run()));
    expect(outcomes.filter((outcome) => !outcome.alreadyCurrent)).toHaveLength(1);
  });

  test("runs only what is new", async () => {
    const first = await folderOf(smallSchema);
    await run({ migrationsFolder: first.path });
    const both = await folderOf(smallSchema, "create table llmq.second (id int);");
    expect(await run({ migrationsFolder: both.path })).toMatchObject({ applied: ["000002.sql"] });
  });

  test("waits for another process that is migrating, without holding a snapshot", async () => {
    const other = await database.connect();
    await other.query("select pg_advisory_lock(4727445306447283)");
    const migrating = run();
    await eventually(() => told.some((message) => message.includes("waiting")));
    expect(await schemas()).toEqual([]);
    await other.query("select pg_advisory_unlock(4727445306447283)");
    expect(await migrating).toMatchObject({ alreadyCurrent: false });
  });

  test("works as the owner of the database, who is no superuser", async (context) => {
    if (!testServer().hasRoles) return context.skip("this role may not create roles");
    const role = `owner_of_${database.name}`;
    await database.query(`create role ${role} login password 'owner'`);
    try {
      await database.query(`alter database ${database.name} owner to ${role}`);
      const url = new URL(database.url);
      Object.assign(url, { username: role, password: "owner" });
      expect(await run({ connectionString: url.href })).toMatchObject({ applied: ["000001.sql"] });
      const [schema] = await database.query(
        "select nspowner::regrole::text as owner from pg_namespace where nspname = 'llmq'",
      );
      expect(schema).toEqual({ owner: role });
    } finally {
      await database.query(`alter database ${database.name} owner to current_user`);
      await database.query(`drop owned by ${role} cascade`);
      await database.query(`drop role ${role}`);
    }
  });

  test("installs the same through dist/llmq.sql", async () => {
    await database.query(await readInstallScript());
    expect(await database.query("select llmq.schema_version() as version")).toEqual([{ version: 1 }]);
  });
});

describe("a database that cannot be migrated is left as it was", () => {
  test("one whose history belongs to another application", async () => {
    const theirs = await folderOf(
      `${smallSchema}\ndrop schema llmq cascade; create schema theirs; ${smallSchema}`,
    );
    await run({ migrationsFolder: theirs.path });
    await database.query("drop schema llmq cascade");
    await expect(run()).rejects.toMatchObject({
      code: "foreign_history",
      hint: expect.stringContaining("dist/llmq.sql"),
    });
    expect(await schemas()).toEqual(["graphile_migrate"]);
  });

  test("one that a newer version has migrated", async () => {
    const newer = await folderOf(smallSchema, "create table llmq.later (id int);");
    await run({ migrationsFolder: newer.path });
    const older = await folderOf(smallSchema);
    await expect(run({ migrationsFolder: older.path })).rejects.toMatchObject({
      code: "newer_than_program",
      hint: expect.stringContaining("Upgrade llmq"),
    });
  });

  test("one that was installed from dist/llmq.sql", async () => {
    await database.query(smallSchema);
    await expect(run()).rejects.toMatchObject({ code: "installed_without_history" });
    expect(await schemas()).toEqual(["llmq"]);
  });

  test("one where the role may not create a schema", async (context) => {
    if (!testServer().hasRoles) return context.skip("this role may not create roles");
    const role = `guest_of_${database.name}`;
    await database.query(`create role ${role} login password 'guest'`);
    try {
      const url = new URL(database.url);
      Object.assign(url, { username: role, password: "guest" });
      await expect(run({ connectionString: url.href })).rejects.toMatchObject({
        code: "insufficient_privilege",
        hint: expect.stringContaining(`to "${role}"`),
      });
    } finally {
      await database.query(`drop role ${role}`);
    }
  });

  test("when a migration fails, with the server's words", async () => {
    const broken = await folderOf(`${smallSchema}\nselect 1 / 0;`);
    await expect(run({ migrationsFolder: broken.path })).rejects.toMatchObject({
      code: "migration_failed",
      message: expect.stringContaining("division by zero"),
    });
    expect(await schemas()).toEqual(["graphile_migrate"]);
    expect(await database.query("select from graphile_migrate.migrations")).toEqual([]);
  });

  test("when a committed file was changed afterwards", async () => {
    const folder = await folderOf(smallSchema);
    await appendFile(join(folder.path, "committed", "000001.sql"), "create table llmq.smuggled (id int);\n");
    await expect(run({ migrationsFolder: folder.path })).rejects.toMatchObject({
      code: "migration_failed",
      message: expect.stringContaining("tampered"),
    });
    expect(await schemas()).toEqual(["graphile_migrate"]);
  });

  test("when the connection is cut in the middle, and the process goes on", async () => {
    const slow = await folderOf(`${smallSchema}\nselect pg_sleep(60);`);
    const migrating = run({ migrationsFolder: slow.path });
    const outcome = expect(migrating).rejects.toMatchObject({ code: "connection_failed" });
    const pid = await waitForBackend(database, { queryContains: "pg_sleep", waitEvent: "PgSleep" });
    await database.query("select pg_terminate_backend($1)", [pid]);
    await outcome;
    expect(await schemas()).toEqual(["graphile_migrate"]);
  });

  test("when another process never finishes migrating", async () => {
    const other = await database.connect();
    await other.query("select pg_advisory_lock(4727445306447283)");
    await expect(run({ lockTimeoutMs: 0 })).rejects.toMatchObject({ code: "lock_timeout" });
  });

  test("when there is no server", async () => {
    await expect(run({ connectionString: "postgres://nobody@127.0.0.1:1/none" })).rejects.toMatchObject({
      code: "connection_failed",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });

  test("when the program expects another schema version", async () => {
    const odd = await folderOf(smallSchema.replace("select 1", "select 99"));
    await expect(run({ migrationsFolder: odd.path })).rejects.toMatchObject({
      code: "verification_failed",
      message: expect.stringContaining("99"),
    });
  });
});
