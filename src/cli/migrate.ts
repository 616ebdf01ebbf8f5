import { importPrices } from "../database/import-prices.ts";
import { migrate } from "../database/migrate.ts";
import { createPool } from "../database/pool.ts";
import type { Command } from "./context.ts";
import { openServer } from "./database.ts";
import { counted } from "./format.ts";
import type { Terminal } from "./terminal.ts";

/** `llmq migrate`: also makes the embedded database when there is no `DATABASE_URL`. */
export const runMigrate: Command = async (context) => {
  const { out, err, stopSignal } = context;
  const server = await openServer(context, { create: true });
  try {
    const say = (level: "debug" | "info" | "warn") => (fields: object, message: string) => {
      if (level === "debug") return;
      const name = "migration" in fields ? ` ${String(fields.migration)}` : "";
      err.line(
        level === "warn" ? `${err.style("yellow", "warning:")} ${message}${name}` : `${message}${name}`,
      );
    };
    const log = { debug: say("debug"), info: say("info"), warn: say("warn") };
    const done = await migrate({ connectionString: server.url, log, signal: stopSignal });
    out.line(
      done.alreadyCurrent
        ? "The schema llmq is up to date."
        : `The schema llmq is up to date: ${counted(done.applied.length, "migration")} applied.`,
    );
    await importModelPrices(server.url, out);
    if (!done.pgmq)
      out.line(out.style("dim", "Without pgmq: no copies of requests, no shared queues; all else works."));
    return 0;
  } finally {
    await server.close();
  }
};

/** A new version of llmq may know new prices. */
async function importModelPrices(url: string, out: Terminal): Promise<void> {
  const pool = createPool({ connectionString: url, max: 1, applicationName: "llmq migrate" });
  try {
    const changed = await importPrices(pool);
    if (changed > 0) out.line(`${counted(changed, "price")} changed; llmq prices shows them all.`);
  } finally {
    await pool.end();
  }
}
