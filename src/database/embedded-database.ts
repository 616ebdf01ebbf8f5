import type { SetupLog } from "./embedded.ts";
import { withConnection } from "./embedded-server.ts";

/** Makes the database `llmq`; answers whether pgmq is in it. Two processes may do this at once. */
export async function prepareDatabase(rootUrl: string, pgmqFiles: boolean, log: SetupLog): Promise<boolean> {
  await withConnection(rootUrl, async (client) => {
    const { rowCount } = await client.query("select from pg_database where datname = 'llmq'");
    if (rowCount === 0) await client.query("create database llmq").catch(ignoreDuplicate);
    // Compresses large prompts several times faster than pglz; not every build has it.
    const lz4 = await client.query(
      "select from pg_settings where name = 'default_toast_compression' and 'lz4' = any(enumvals)",
    );
    if (lz4.rowCount) await client.query("alter database llmq set default_toast_compression = 'lz4'");
  });
  return await withConnection(databaseUrl(rootUrl, "llmq"), async (client) => {
    try {
      if (pgmqFiles) await client.query("create extension if not exists pgmq").catch(ignoreDuplicate);
    } catch (error) {
      log.warn({ error }, "the extension pgmq could not be created");
    }
    const { rowCount } = await client.query("select from pg_extension where extname = 'pgmq'");
    return rowCount === 1;
  });
}

/** SQLSTATE 42P04, 42710, 23505: another process made it a moment earlier. */
function ignoreDuplicate(error: unknown): void {
  const code = (error as { code?: string }).code;
  if (!["42P04", "42710", "23505"].includes(code ?? "")) throw error;
}

/** The same server, another database. */
export function databaseUrl(url: string, database: string): string {
  const parsed = new URL(url);
  parsed.pathname = `/${database}`;
  return parsed.href;
}
