/** Writes dist/llmq.sql: everything in sql/ in one transaction, for psql and for any other migration tool. */
import { mkdir, writeFile } from "node:fs/promises";
import { readInstallScript, root } from "./sql-sources.ts";

await mkdir(`${root}dist`, { recursive: true });
await writeFile(`${root}dist/llmq.sql`, await readInstallScript());
console.log("dist/llmq.sql written");
