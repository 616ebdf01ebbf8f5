/** Writes docs/sql-api.md from sql/, through a database made for the occasion. */
import { writeFile } from "node:fs/promises";
import { withClient, withScratchServer } from "./scratch-server.ts";
import { sqlReferencePage } from "./sql-reference-page.ts";
import { readSqlSources, root } from "./sql-sources.ts";

await withScratchServer(async (server) => {
  const url = await server.createDatabase("llmq_docs");
  await withClient(url, async (client) => {
    await client.query(`begin; ${await readSqlSources()}; commit`);
    await client.query("set search_path = ''");
    await writeFile(`${root}docs/sql-api.md`, await sqlReferencePage(client));
  });
});
console.log("docs/sql-api.md written");
