import { CommandError } from "../errors.ts";
import type { Command } from "./context.ts";
import { withDatabase } from "./database.ts";
import { counted } from "./format.ts";

export type CleanupOptions = {
  /** A Postgres interval, for example `30 days`; the configured retention when left out. */
  retention?: string;
};

/** Small enough that each call stays within the time limit of a statement. */
const BATCH = 5_000;

/** `llmq cleanup`: batch after batch until nothing is left; interrupting it loses nothing. */
export const runCleanup: Command<CleanupOptions> = async (context, options) => {
  const { config, out, err, stopSignal } = context;
  const retention = options.retention ?? `${config.retentionDays} days`;
  return await withDatabase(context, async ({ pool }) => {
    let removed = 0;
    for (;;) {
      const { rows } = await pool.query<{ removed: string }>(
        "select llmq.cleanup_llm_requests($1, $2) as removed",
        [retention, BATCH],
      );
      const batch = Number(rows[0]?.removed ?? 0);
      removed += batch;
      if (batch === 0) break;
      err.progress(`removed ${counted(removed, "request")} ...`);
      if (stopSignal.aborted) throw new CommandError(`interrupted after ${counted(removed, "request")}`);
    }
    out.line(`Removed ${counted(removed, "finished request")} older than ${retention}.`);
    return 0;
  });
};
