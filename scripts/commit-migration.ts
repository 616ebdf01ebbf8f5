/**
 * npm run migrations:commit    commits migrations/current.sql
 * npm run migrations:recommit  takes the last commit back and commits it anew from sql/: only for a migration
 *                              that no release contains
 *
 * Both run graphile-migrate's command line against a server made for the occasion. When that fails, current.sql
 * and committed/ are put back as they were.
 */
import { spawnSync } from "node:child_process";
import { chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { type ScratchServer, withScratchServer } from "./scratch-server.ts";
import { root } from "./sql-sources.ts";

const committed = `${root}migrations/committed`;
const current = `${root}migrations/current.sql`;
const nothingYet = "-- Enter migration here\n";
const [mode, ...options] = process.argv.slice(2);

if (mode !== "commit" && mode !== "recommit") {
  console.error("usage: commit-migration.ts commit|recommit [--message text]");
  process.exit(2);
}
const before = await remember();
try {
  await withScratchServer(async (server) => {
    await server.createDatabase("llmq_dev");
    if (mode === "recommit") await takeBack(server);
    graphileMigrate(server, "commit", ...options);
    // graphile-migrate makes it read-only for its group; git and packages know 644.
    for (const name of await committedFiles()) await chmod(`${committed}/${name}`, 0o644);
  });
} catch (error) {
  await restore(before);
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

/** Restores the includes of the last commit in current.sql; the very first one is made of all of sql/. */
async function takeBack(server: ScratchServer): Promise<void> {
  const files = await committedFiles();
  if (files.length <= 1) {
    await rm(`${committed}/${files[0] ?? "none"}`, { force: true });
    await writeFile(current, "--!include all.sql\n");
    return;
  }
  await writeFile(current, nothingYet);
  graphileMigrate(server, "migrate");
  graphileMigrate(server, "uncommit");
}

function graphileMigrate(server: ScratchServer, ...args: string[]): void {
  const { status } = spawnSync(
    process.execPath,
    [`${root}node_modules/graphile-migrate/dist/cli.js`, ...args],
    {
      cwd: root,
      stdio: "inherit",
      env: {
        ...process.env,
        DATABASE_URL: server.urlFor("llmq_dev"),
        SHADOW_DATABASE_URL: server.urlFor("llmq_shadow"),
        ROOT_DATABASE_URL: server.urlFor("postgres"),
      },
    },
  );
  if (status !== 0) throw new Error(`graphile-migrate ${args[0]} failed; nothing was changed`);
}

async function committedFiles(): Promise<string[]> {
  await mkdir(committed, { recursive: true });
  return (await readdir(committed)).filter((name) => name.endsWith(".sql")).sort();
}

async function remember(): Promise<Map<string, string>> {
  const paths = [current, ...(await committedFiles()).map((name) => `${committed}/${name}`)];
  const texts = await Promise.all(paths.map((path) => readFile(path, "utf8").catch(() => nothingYet)));
  return new Map(paths.map((path, index) => [path, texts[index] ?? nothingYet]));
}

async function restore(files: Map<string, string>): Promise<void> {
  for (const name of await committedFiles()) await rm(`${committed}/${name}`, { force: true });
  for (const [path, text] of files) await writeFile(path, text);
}
