import { setTimeout as sleep } from "node:timers/promises";
import { resultChannel } from "../client/result-channels.ts";
import { createListener } from "../database/listener.ts";
import { createLogger } from "../logger.ts";
import { createWake, type Wake } from "../orchestrator/wake.ts";
import type { Command, CommandContext } from "./context.ts";
import { withDatabase } from "./database.ts";
import { clockTime, count, duration, printable } from "./format.ts";
import { isPassing } from "./passing-error.ts";
import { describeError } from "./report-error.ts";
import { statusStyle } from "./status-style.ts";
import { type FinishedFilter, type FinishedRequest, type Follower, followFinished } from "./tail-follow.ts";
import type { Terminal } from "./terminal.ts";
import { clip } from "./terminal.ts";

export type TailOptions = FinishedFilter & {
  /** Milliseconds: what finished before. */
  since: number;
  json?: boolean;
};

/** The latest that something new is looked for. */
const POLL_MS = 500;
const RETRY_MS = 1_000;

/** `llmq tail`: finished requests as they come, until it is told to stop; then it exits 0. */
export const runTail: Command<TailOptions> = async (context, options) =>
  await withDatabase(context, async ({ pool, url }) => {
    const { out, stopSignal } = context;
    const follower = await followFinished(pool, options, options.since);
    const wake = createWake();
    const stopListening = await wakeWhenNotified(context, url, options.agent, wake);
    const tell = (request: FinishedRequest) =>
      out.line(options.json ? JSON.stringify(request) : requestLine(out, request));
    try {
      for (let isFirst = true; !stopSignal.aborted; isFirst = false) {
        wake.clear();
        await lookUntilDone(context, follower, tell, isFirst);
        await wake.wait(POLL_MS, stopSignal);
      }
      return 0;
    } finally {
      await stopListening();
    }
  });

/** A server that is away delays what comes; the first look must work. */
async function lookUntilDone(
  { err, stopSignal }: CommandContext,
  follower: Follower,
  tell: (request: FinishedRequest) => void,
  isFirst: boolean,
): Promise<void> {
  for (let failures = 0; !stopSignal.aborted; failures += 1) {
    try {
      for await (const requests of follower.look()) {
        for (const request of requests) tell(request);
        if (stopSignal.aborted) return;
      }
      return;
    } catch (error) {
      if (isFirst || !isPassing(error)) throw error;
      if (failures === 0) err.line(`${describeError(error).message}; trying again`);
      await sleep(RETRY_MS, undefined, { signal: stopSignal }).catch(() => undefined);
    }
  }
}

/** Channels are per agent: without one there is nothing to listen to, and the poll alone finds what is new. */
async function wakeWhenNotified(
  { config }: CommandContext,
  url: string,
  agent: string | undefined,
  wake: Wake,
): Promise<() => Promise<void>> {
  if (agent === undefined || !config.notify) return async () => undefined;
  const listener = createListener({
    connectionString: config.listenUrl ?? url,
    channels: [resultChannel(agent)],
    onNotification: () => wake.set(),
    logger: createLogger({ level: "error", secrets: config.secrets }),
    applicationName: "llmq tail listener",
  });
  await listener.start();
  return () => listener.stop();
}

function requestLine(out: Terminal, it: FinishedRequest): string {
  const tokens = it.input_tokens === null ? "" : `${count(it.input_tokens)}+${count(it.output_tokens ?? 0)}`;
  const cost = it.cost_usd === null ? "" : `$${it.cost_usd.toFixed(4)}`;
  const took = duration(Date.parse(it.finished_at) - Date.parse(it.created_at));
  const error = [it.error_type, it.error_message].filter((part) => part !== null).join(": ");
  const columns = [
    out.style("dim", clockTime(new Date(it.finished_at))),
    out.style(statusStyle(it.status), it.status.padEnd(9)),
    took.padStart(7),
    out.style("dim", it.id),
    `${it.agent_id}/${it.task_type}`,
    it.model ?? "",
    tokens,
    cost,
    printable(error).replaceAll(/\s+/g, " "),
  ];
  const line = columns.filter((column) => column !== "").join("  ");
  return out.isTTY ? clip(line, out.width) : line;
}
