import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import migration from "graphile-migrate/dist/migration.js";
import settings from "graphile-migrate/dist/settings.js";

/** The clone's root, with a slash at its end. */
export const root = fileURLToPath(new URL("../", import.meta.url));

/**
 * The text of everything `sql/all.sql` includes, in its order, with graphile-migrate's own reader. Each file
 * stands between `--! Included <path>` and `--! EndIncluded <path>`.
 */
export async function readSqlSources(): Promise<string> {
  const parsed = await settings.parseSettings({
    connectionString: "postgres://nobody@localhost/unused",
    rootConnectionString: "postgres:///template1",
    migrationsFolder: `${root}migrations`,
  });
  const path = `${root}sql/all.sql`;
  return await migration.compileIncludes(parsed, await readFile(path, "utf8"), new Set([path]));
}

/** What dist/llmq.sql holds. */
export async function readInstallScript(): Promise<string> {
  const { version } = JSON.parse(await readFile(`${root}package.json`, "utf8")) as { version: string };
  const sources = (await readSqlSources())
    .replaceAll(/^--! Included (.*)$/gm, "-- $1")
    .replaceAll(/^--! EndIncluded .*\n?/gm, "");
  const header = `-- llmq ${version}: the whole schema, for an empty database or one without a schema llmq.
--
--   psql --no-psqlrc -v ON_ERROR_STOP=1 -f llmq.sql
--
-- It runs in one transaction and needs no superuser; PostgreSQL 14 to 18. For the copy to pgmq create that
-- extension and call llmq.enable_pgmq(). This is the alternative to \`llmq migrate\`: use one or the other.
-- A tool that opens a transaction itself can leave out the first and the last statement.

begin;

`;
  const footer = `
select llmq.ensure_partitions();

commit;
`;
  return header + sources.trimEnd() + footer;
}
