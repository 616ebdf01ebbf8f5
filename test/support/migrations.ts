import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import hash from "graphile-migrate/dist/hash.js";

/** The least that `migrate` takes for llmq. */
export const smallSchema = `create schema llmq;
create function llmq.schema_version() returns int language sql as 'select 1';
create function llmq.ensure_partitions() returns void language sql as '';
create function llmq.enable_pgmq() returns boolean language sql as 'select true';`;

/** A folder of committed migrations, as graphile-migrate would have written them. */
export type MigrationsFolder = { path: string; hashes: string[]; remove(): Promise<void> };

/** Writes the statements as committed migrations 000001.sql, 000002.sql, ... */
export async function writeMigrations(...bodies: string[]): Promise<MigrationsFolder> {
  const path = await mkdtemp(join(tmpdir(), "llmq-migrations-"));
  await mkdir(join(path, "committed"));
  const hashes: string[] = [];
  for (const [index, body] of bodies.entries()) {
    const previous = hashes.at(-1) ?? null;
    const own = hash.calculateHash(`${body}\n`, previous);
    const name = `${String(index + 1).padStart(6, "0")}.sql`;
    const text = `--! Previous: ${previous ?? "-"}\n--! Hash: ${own}\n\n${body}\n`;
    await writeFile(join(path, "committed", name), text);
    hashes.push(own);
  }
  return { path, hashes, remove: () => rm(path, { recursive: true, force: true }) };
}
