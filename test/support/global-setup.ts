import pg from "pg";
import type { TestProject } from "vitest/node";
import { readSqlSources } from "../../scripts/sql-sources.ts";
import { databaseUrl } from "../../src/database/embedded.ts";
import { migrate } from "../../src/database/migrate.ts";
import { startServer } from "./server.ts";

/** What every test file is told about the server of this run. */
export type TestServer = {
  /** Of a database to connect to for making others. */
  url: string;
  /** Name of the database that each test file gets a copy of. */
  template: string;
  /** 14 to 18. */
  major: number;
  hasPgmq: boolean;
  /** Whether llmq_client, llmq_worker, llmq_reader and llmq_admin exist. */
  hasRoles: boolean;
};

declare module "vitest" {
  export interface ProvidedContext {
    testServer: TestServer | { failure: string };
  }
}

/**
 * Starts one server, builds one template database, and takes both away after the last test. When that fails,
 * the tests that want a database fail with the reason, and the others run.
 */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  try {
    return await startAndProvide(project);
  } catch (error) {
    const fields = error as Partial<Record<"message" | "where" | "hint" | "detail", string>>;
    const failure = [fields.message, fields.detail, fields.where, fields.hint].filter(Boolean).join("\n");
    console.error(`no database for tests: ${failure}`);
    project.provide("testServer", { failure });
    return undefined;
  }
}

async function startAndProvide(project: TestProject): Promise<() => Promise<void>> {
  const server = await startServer(process.env);
  const template = `llmq_template_${process.pid}_${Date.now().toString(36)}`;
  const drop = () =>
    onServer(server.url, (client) => client.query(`drop database if exists ${template} with (force)`));
  try {
    const hasRoles = await onServer(server.url, createRoles);
    await onServer(server.url, (client) => client.query(`create database ${template}`));
    const built = await buildTemplate(databaseUrl(server.url, template));
    project.provide("testServer", { url: server.url, template, hasRoles, ...built });
  } catch (error) {
    await drop().catch(() => undefined);
    await server.stop();
    throw error;
  }
  return async () => {
    await drop();
    await server.stop();
  };
}

/**
 * The schema comes from sql/, so that work on it is tested at once. `LLMQ_TEST_SCHEMA=migrations` takes the
 * committed migrations instead; `npm run sql:check` proves that both give the same database.
 */
async function buildTemplate(url: string): Promise<{ major: number; hasPgmq: boolean }> {
  const fromSources = process.env.LLMQ_TEST_SCHEMA !== "migrations";
  return await onServer(url, async (client) => {
    const { rows } = await client.query<{ major: number; available: boolean }>(
      "select current_setting('server_version_num')::int / 10000 as major, " +
        "exists (select from pg_available_extensions where name = 'pgmq') as available",
    );
    const hasPgmq = rows[0]?.available === true && (await succeeds(client.query("create extension pgmq")));
    if (fromSources) {
      await client.query(`begin; ${await readSqlSources()}; commit`);
      if (hasPgmq) await client.query("select llmq.enable_pgmq()");
      await client.query("select llmq.ensure_partitions()");
    } else {
      const log = { debug: () => {}, info: () => {}, warn: console.warn };
      await migrate({ connectionString: url, log });
    }
    return { major: rows[0]?.major ?? 0, hasPgmq };
  });
}

/** Roles belong to the server, not to a database: as a DBA would, they are made before the migrations run. */
async function createRoles(client: pg.Client): Promise<boolean> {
  const create = ["llmq_client", "llmq_worker", "llmq_reader", "llmq_admin"].map(
    (role) => `if to_regrole('${role}') is null then create role ${role} nologin; end if;`,
  );
  return await succeeds(client.query(`do $$ begin ${create.join("\n")} end $$`));
}

function succeeds(query: Promise<unknown>): Promise<boolean> {
  return query.then(
    () => true,
    () => false,
  );
}

async function onServer<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
