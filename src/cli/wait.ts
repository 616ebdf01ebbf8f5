import type { Pool, PoolClient } from "pg";
import { CommandError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { duration } from "./format.ts";

/** Between two of these the reason for the waiting is looked up and shown. */
const SLICE_MS = 1_000;

export type WaitOptions = { context: CommandContext; timeoutMs: number };

/**
 * Waits until a request is finished.
 *
 * @throws CommandError when the time is over or the person interrupts; the request goes on.
 */
export async function waitForRequest(pool: Pool, id: string, options: WaitOptions): Promise<void> {
  const { context, timeoutMs } = options;
  const { stopSignal, err } = context;
  const startedAt = performance.now();
  const client = await pool.connect();
  // Breaks the connection, and with it the waiting statement.
  const leave = once(() => client.release(stopSignal.aborted));
  stopSignal.addEventListener("abort", leave);
  try {
    for (let told = ""; ; ) {
      stopSignal.throwIfAborted();
      const leftMs = timeoutMs - (performance.now() - startedAt);
      if (await waitOnce(client, id, Math.max(Math.min(leftMs, SLICE_MS), 0))) return;
      if (leftMs <= SLICE_MS) throw stillRunning(id, `not finished after ${duration(timeoutMs)}`);
      told = await tellWhy(client, id, { told, err, elapsedMs: performance.now() - startedAt });
    }
  } catch (error) {
    throw stopSignal.aborted ? stillRunning(id, "interrupted") : error;
  } finally {
    err.clearProgress();
    stopSignal.removeEventListener("abort", leave);
    leave();
  }
}

function stillRunning(id: string, why: string): CommandError {
  return new CommandError(`${why}; request ${id} goes on`, { hint: `llmq explain ${id}` });
}

/** False when it is not finished yet (LQ008). */
async function waitOnce(client: PoolClient, id: string, timeoutMs: number): Promise<boolean> {
  try {
    await client.query("call llmq.wait_for_llm_request($1, $2 * interval '1 millisecond')", [
      id,
      Math.ceil(timeoutMs),
    ]);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "LQ008") return false;
    throw error;
  }
}

type Telling = { told: string; err: CommandContext["err"]; elapsedMs: number };

/** On a terminal one line that lives, elsewhere a line when the reason is a new one. */
async function tellWhy(client: PoolClient, id: string, { told, err, elapsedMs }: Telling): Promise<string> {
  const { rows } = await client.query<{ status: string; why: string }>(
    "select e ->> 'status' as status, e ->> 'why' as why from llmq.explain_llm_request($1) as e",
    [id],
  );
  const { status, why } = rows[0] ?? { status: "", why: "" };
  err.progress(`${duration(elapsedMs)}  ${status}  ${why}`);
  if (!err.isTTY && status === "pending" && why !== told) err.line(`${status}: ${why}`);
  return why;
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (!done) action();
    done = true;
  };
}
