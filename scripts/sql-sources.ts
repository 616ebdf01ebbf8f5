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
