import type { Command } from "./context.ts";
import { withDatabase } from "./database.ts";
import { readStatus } from "./status-query.ts";
import { statusLines } from "./status-screen.ts";
import { watchStatus } from "./status-watch.ts";

export type StatusOptions = {
  json?: boolean;
  watch?: boolean;
  /** Milliseconds. */
  interval: number;
};

/** `llmq status` */
export const runStatus: Command<StatusOptions> = async (context, options) =>
  await withDatabase(context, async ({ pool, url, embedded }) => {
    if (options.watch) {
      await watchStatus(context, {
        pool,
        url,
        embedded,
        intervalMs: options.interval,
        json: options.json ?? false,
      });
      return 0;
    }
    const status = await readStatus(pool);
    if (options.json) context.out.line(JSON.stringify(status, null, 2));
    else for (const line of statusLines(context.out, status, { url, embedded })) context.out.line(line);
    return 0;
  });
