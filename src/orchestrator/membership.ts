/** This process as a worker of the database: one row in `llmq.workers`, kept alive by heartbeats. */
import { hostname } from "node:os";
import type { Logger } from "pino";
import type { QueueDatabase } from "../database/queue.ts";

/** So many heartbeats may be missing before others take over what this process holds. */
const MISSED_HEARTBEATS = 4;

export type Membership = {
  /** Null before `join`. It changes when the worker was given up and had to register anew. */
  readonly workerId: string | null;
  join(): Promise<void>;
  /** Says that this process lives. When it was given up meanwhile: tells `onGivenUp` and registers anew. */
  heartbeat(): Promise<void>;
  /** Signs off; whatever is still held goes back to pending. Rejects when the database is away. */
  leave(): Promise<void>;
};

export type MembershipOptions = {
  database: Pick<QueueDatabase, "registerWorker" | "heartbeat" | "unregisterWorker">;
  name: string | undefined;
  heartbeatIntervalMs: number;
  /** What `llmq.workers.info` shows, besides host and process. */
  info(): object;
  /** Its calls run elsewhere from now on. */
  onGivenUp(): void;
  logger: Logger;
};

export function createMembership(options: MembershipOptions): Membership {
  const { database, heartbeatIntervalMs, onGivenUp, logger } = options;
  let workerId: string | null = null;
  let beating: Promise<void> | null = null;

  const info = () => ({ hostname: hostname(), pid: process.pid, ...options.info() });

  async function join(): Promise<void> {
    const name = options.name ?? `${hostname()}:${process.pid}`;
    workerId = await database.registerWorker(name, heartbeatIntervalMs * MISSED_HEARTBEATS, info());
  }

  async function beat(): Promise<void> {
    if (workerId === null || (await database.heartbeat(workerId, info()))) return;
    logger.error({ workerId }, "this worker was given up, its calls run elsewhere now");
    onGivenUp();
    await join();
  }

  return {
    get workerId() {
      return workerId;
    },
    join,
    heartbeat() {
      // The loop may ask for one while another is under way: registering twice would leave a dead worker.
      beating ??= beat().finally(() => {
        beating = null;
      });
      return beating;
    },
    async leave() {
      if (workerId === null) return;
      await beating?.catch(() => undefined);
      await database.unregisterWorker(workerId);
    },
  };
}
