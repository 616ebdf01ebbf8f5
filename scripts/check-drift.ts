/**
 * Builds one database from migrations/committed and one from sql/, and compares what is in them. Says what
 * differs and exits with 1; the cure is a migration that brings the first to the second.
 */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate } from "../src/database/migrate.ts";
import { type Catalog, readCatalog } from "./catalog.ts";
import { withClient, withScratchServer } from "./scratch-server.ts";
import { readSqlSources } from "./sql-sources.ts";

const { migrated, built } = await withScratchServer(async (server) => {
  const roles = ["llmq_client", "llmq_worker", "llmq_reader", "llmq_admin"];
  await withClient(server.urlFor("postgres"), (client) =>
    client.query(roles.map((role) => `create role ${role} nologin;`).join("\n")),
  );
  const connectionString = await server.createDatabase("from_migrations");
  const log = { debug: () => {}, info: () => {}, warn: console.warn };
  await migrate({ connectionString, log });
  const sources = await server.createDatabase("from_sources");
  await withClient(sources, async (client) => {
    await client.query(`begin; ${await readSqlSources()}; select llmq.ensure_partitions(); commit`);
  });
  return {
    migrated: await withClient(connectionString, readCatalog),
    built: await withClient(sources, readCatalog),
  };
});

const names = [...new Set([...migrated.keys(), ...built.keys()])].sort();
const different = names.filter((name) => migrated.get(name) !== built.get(name));
for (const name of different) await explain(name, migrated, built);
if (different.length > 0) {
  console.error(`${different.length} of ${names.length} objects differ between migrations/ and sql/.`);
  console.error("Write what is missing into migrations/current.sql, then: npm run migrations:commit");
  process.exitCode = 1;
} else {
  console.log(`migrations/ and sql/ give the same database (${names.length} objects compared)`);
}

async function explain(name: string, left: Catalog, right: Catalog): Promise<void> {
  const [from, to] = [left.get(name), right.get(name)];
  if (from === undefined) return console.error(`only in sql/: ${name}`);
  if (to === undefined) return console.error(`only in migrations/: ${name}`);
  const directory = await mkdtemp(join(tmpdir(), "llmq-drift-"));
  const readable = (text: string) => `${text.replaceAll("\\n", "\n")}\n`;
  await writeFile(join(directory, "migrations"), readable(from));
  await writeFile(join(directory, "sql"), readable(to));
  const diff = spawnSync("diff", ["-U2", "migrations", "sql"], { cwd: directory, encoding: "utf8" });
  await rm(directory, { recursive: true, force: true });
  console.error(`different: ${name}\n${diff.stdout || `${readable(from)}${readable(to)}`}`);
}
