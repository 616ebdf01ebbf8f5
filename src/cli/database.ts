import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Pool } from "pg";
import { createPool } from "../database/pool.ts";
import { schemaVersion } from "../database/schema-version.ts";
import { type ExitCode, UsageError } from "../errors.ts";
import { createLogger } from "../logger.ts";
import type { CommandContext } from "./context.ts";

export type DatabaseServer = {
  url: string;
  embedded: boolean;
  /** Leaves the embedded server, which ends with its last user. */
  close(): Promise<void>;
};

export type CommandDatabase = DatabaseServer & { pool: Pool };

/** Where the embedded server's files are. */
export function embeddedDirectory(context: CommandContext): string {
  return join(context.config.dataDir, "postgres");
}

export function hasEmbeddedDatabase(context: CommandContext): boolean {
  return existsSync(join(embeddedDirectory(context), "data", "PG_VERSION"));
}

/**
 * The server at `DATABASE_URL`, or the embedded one, joined when it runs and started when it does not. A new
 * one is made only with `create`.
 */
export async function openServer(
  context: CommandContext,
  options: { create?: boolean } = {},
): Promise<DatabaseServer> {
  const { config, err } = context;
  if (config.databaseUrl !== null) {
    return { url: config.databaseUrl, embedded: false, close: async () => undefined };
  }
  const exists = hasEmbeddedDatabase(context);
  if (!exists && options.create !== true) {
    throw new UsageError(`there is no database: DATABASE_URL is not set, and ${config.dataDir} has none`, {
      hint: "Set DATABASE_URL or use --database-url, or make an embedded one: llmq migrate",
    });
  }
  err.progress(exists ? "starting the embedded Postgres ..." : "making an embedded Postgres ...");
  const { startEmbeddedPostgres } = await import("../database/embedded.ts");
  const log = createLogger({ level: "warn", secrets: config.secrets });
  const server = await startEmbeddedPostgres({ dataDir: embeddedDirectory(context), log });
  err.clearProgress();
  return { url: server.url, embedded: true, close: () => server.stop() };
}

/** Runs `work` on a pool of a database that has the schema this program knows, and closes everything. */
export async function withDatabase(
  context: CommandContext,
  work: (database: CommandDatabase) => Promise<ExitCode>,
): Promise<ExitCode> {
  const server = await openServer(context);
  const pool = createPool({ connectionString: server.url, max: 2, applicationName: "llmq" });
  try {
    await requireSchema(pool);
    return await work({ ...server, pool });
  } finally {
    await pool.end().catch(() => undefined);
    await server.close();
  }
}

async function requireSchema(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ present: boolean }>(
    "select exists (select from pg_catalog.pg_namespace where nspname = 'llmq') as present",
  );
  if (!rows[0]?.present) {
    throw new UsageError("this database has no schema llmq", { hint: "Run: llmq migrate" });
  }
  const found = await pool.query<{ version: number }>("select llmq.schema_version() as version");
  const version = found.rows[0]?.version ?? 0;
  if (version === schemaVersion) return;
  throw new UsageError(`this database has schema version ${version}, this program needs ${schemaVersion}`, {
    hint:
      version < schemaVersion
        ? "Run: llmq migrate"
        : "Upgrade llmq to the version that migrated this database.",
  });
}
