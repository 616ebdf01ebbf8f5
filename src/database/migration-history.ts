import type pg from "pg";
import { MigrationError } from "./migrate-error.ts";

/** One row of `graphile_migrate.migrations`, or one file in `migrations/committed`. */
export type Migration = { filename: string; hash: string };

const useSqlFile =
  "Give llmq a database of its own, or run dist/llmq.sql with the migration tool this database has " +
  "(psql -f node_modules/llmq/dist/llmq.sql).";

/** What graphile-migrate has recorded, oldest first; undefined when it was never used here. */
export async function readHistory(client: pg.Client): Promise<Migration[] | undefined> {
  const { rows } = await client.query<{ present: boolean }>(
    "select to_regclass('graphile_migrate.migrations') is not null as present",
  );
  if (!rows[0]?.present) return undefined;
  const history = await client.query<Migration>(
    "select filename, hash from graphile_migrate.migrations order by filename",
  );
  return history.rows;
}

/** Refuses a database that somebody else migrates, that is ahead of us, or that has llmq from elsewhere. */
export async function checkHistory(client: pg.Client, ours: Migration[]): Promise<void> {
  const applied = (await readHistory(client)) ?? [];
  const { rows } = await client.query("select from pg_namespace where nspname = 'llmq'");
  const installed = rows.length > 0;
  if (applied.length === 0 && installed) {
    throw new MigrationError(
      "installed_without_history",
      "the schema llmq is here already, but not through `llmq migrate` (perhaps from dist/llmq.sql)",
      "Nothing was changed. Go on with the tool that installed it: the later files of migrations/committed, in " +
        "order, bring it up to date.",
    );
  }
  const differs = applied.findIndex((row, index) => row.hash !== ours[index]?.hash);
  if (differs === -1) return;
  const row = applied[differs];
  if (differs === ours.length && installed) {
    throw new MigrationError(
      "newer_than_program",
      `this database has the migration ${row?.filename} (${row?.hash}), which this version of llmq does not know`,
      "Upgrade llmq to the version that migrated this database.",
    );
  }
  throw new MigrationError(
    "foreign_history",
    `graphile-migrate's history in this database is not llmq's: ${row?.filename} has the hash ${row?.hash}, ` +
      `llmq's is ${ours[differs]?.hash ?? "missing"}`,
    installed ? `It may come from an unreleased version of llmq. ${useSqlFile}` : useSqlFile,
  );
}

/** Checks that exactly our migrations are recorded. */
export async function verifyHistory(client: pg.Client, ours: Migration[]): Promise<void> {
  const applied = (await readHistory(client)) ?? [];
  const listed = (list: Migration[]) => list.map((migration) => migration.hash).join(", ") || "none";
  if (listed(applied) === listed(ours)) return;
  throw new MigrationError(
    "verification_failed",
    `after migrating, the history is [${listed(applied)}] instead of [${listed(ours)}]`,
    "Somebody else changed graphile_migrate.migrations at the same time. Run `llmq migrate` again.",
  );
}
