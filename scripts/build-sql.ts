/** Writes dist/llmq.sql: everything in sql/ in one transaction, for psql and for any other migration tool. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { readSqlSources, root } from "./sql-sources.ts";

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
await mkdir(`${root}dist`, { recursive: true });
await writeFile(`${root}dist/llmq.sql`, header + sources.trimEnd() + footer);
console.log("dist/llmq.sql written");
