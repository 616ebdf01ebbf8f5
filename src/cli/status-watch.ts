import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import type { CommandContext } from "./context.ts";
import { clockTime, duration, printable } from "./format.ts";
import { isPassing } from "./passing-error.ts";
import { describeError } from "./report-error.ts";
import { readStatus } from "./status-query.ts";
import { statusLines } from "./status-screen.ts";

export type WatchOptions = {
  pool: Pool;
  url: string;
  embedded: boolean;
  intervalMs: number;
  /** One JSON object per line instead of screens. */
  json: boolean;
};

/**
 * Shows the status again and again, until a signal or, on a terminal, the key q. The first look must work; later
 * the last screen stays, with the reason, while the server is away.
 */
export async function watchStatus(context: CommandContext, options: WatchOptions): Promise<void> {
  const { out } = context;
  const keys = quitKeys(context);
  const stopping = AbortSignal.any([context.stopSignal, keys.signal]);
  let lines: string[] | null = null;
  try {
    while (!stopping.aborted) {
      try {
        const status = await readStatus(options.pool);
        if (options.json) out.line(JSON.stringify(status));
        lines = statusLines(out, status, options);
        if (!options.json) out.frame([...lines, "", footer(context, options, new Date(status.at))]);
      } catch (error) {
        if (lines === null || !isPassing(error)) throw error;
        const trouble = `${printable(describeError(error).message)}; trying again`;
        if (out.isTTY && !options.json) out.frame([...lines, "", out.style("red", trouble)]);
        else context.err.line(trouble);
      }
      await sleep(options.intervalMs, undefined, { signal: stopping }).catch(() => undefined);
    }
  } finally {
    keys.release();
    out.endFrames();
  }
}

function footer({ out }: CommandContext, { intervalMs }: WatchOptions, at: Date): string {
  const how = out.isTTY ? `, every ${duration(intervalMs)}; q ends` : "";
  return out.style("dim", `${clockTime(at)}${how}`);
}

/** Aborts at q. A terminal in raw mode makes no signal of Ctrl-C, so that is a key too. */
function quitKeys({ stdin }: CommandContext): { signal: AbortSignal; release(): void } {
  const quit = new AbortController();
  if (!stdin.isTTY) return { signal: quit.signal, release: () => undefined };
  const onData = (keys: Buffer) => {
    if (/[qQ\x03]/.test(keys.toString("latin1"))) quit.abort();
  };
  stdin.setRawMode(true);
  stdin.on("data", onData);
  return {
    signal: quit.signal,
    release() {
      stdin.off("data", onData);
      stdin.setRawMode(false);
      stdin.pause();
    },
  };
}
