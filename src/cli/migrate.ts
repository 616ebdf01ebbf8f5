import { migrate } from "../database/migrate.ts";
import type { Command } from "./context.ts";
import { openServer } from "./database.ts";
import { counted } from "./format.ts";

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
    if (!done.pgmq)
      out.line(out.style("dim", "Without pgmq: no copies of requests, no shared queues; all else works."));
    return 0;
  } finally {
    await server.close();
  }
};
