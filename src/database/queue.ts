/**
 * The orchestrator's side of the SQL API: the only place in TypeScript that names these functions. Rows
 * become camelCase objects here, once. No prepared statements: they do not survive a pooler in transaction
 * mode, and the plans worth keeping are those inside the functions, which PL/pgSQL keeps by itself.
 */
import type { Pool } from "pg";
import { claimedRequest, completedRow, failedRow, ledgerRow } from "./queue-rows.ts";
import type {
  AppliedOutcome,
  ClaimedRequest,
  CompletedOutcome,
  FailedOutcome,
  LedgerCall,
} from "./queue-types.ts";

export type {
  AppliedOutcome,
  ClaimedRequest,
  CompletedOutcome,
  FailedOutcome,
  LedgerCall,
  RequestOutcome,
} from "./queue-types.ts";

export type RuntimeSettings = {
  validationRetries: number;
  callTimeoutMs: number;
  firstByteTimeoutMs: number;
  connectTimeoutMs: number;
};

/** How many rows each part of the maintenance touched. */
export type Maintenance = Record<
  "recovered" | "expired" | "fallen_back" | "aged" | "released" | "compacted" | "swept",
  number
>;

export type QueueDatabase = ReturnType<typeof createQueueDatabase>;

/** `heartbeats` has a connection of its own, so that nothing else keeps a worker from saying that it lives. */
export function createQueueDatabase(pool: Pool, heartbeats: Pool = pool) {
  return {
    async schemaVersion(): Promise<number> {
      const { rows } = await pool.query("select llmq.schema_version() as version");
      return rows[0].version;
    },
    async settings(): Promise<RuntimeSettings> {
      const { rows } = await pool.query("select name, value from llmq.settings");
      const values = new Map<string, unknown>(rows.map((row) => [row.name, row.value]));
      const seconds = (name: string, fallback: number) => Number(values.get(name) ?? fallback) * 1000;
      return {
        validationRetries: Number(values.get("validation_retries") ?? 1),
        callTimeoutMs: seconds("call_timeout", 600),
        firstByteTimeoutMs: seconds("first_byte_timeout", 600),
        connectTimeoutMs: seconds("connect_timeout", 10),
      };
    },
    async registerWorker(name: string, lostAfterMs: number, info: object): Promise<string> {
      const { rows } = await pool.query(
        "select llmq.register_worker($1, $2 * interval '1 millisecond', $3) as id",
        [name, lostAfterMs, JSON.stringify(info)],
      );
      return rows[0].id;
    },
    /** False when the worker was given up: what it held runs elsewhere. */
    async heartbeat(workerId: string, info: object): Promise<boolean> {
      const { rows } = await heartbeats.query("select llmq.heartbeat_worker($1, $2) as alive", [
        workerId,
        JSON.stringify(info),
      ]);
      return rows[0].alive;
    },
    async unregisterWorker(workerId: string): Promise<void> {
      await pool.query("select llmq.unregister_worker($1)", [workerId]);
    },
    async claim(workerId: string, maxRequests: number): Promise<ClaimedRequest[]> {
      const { rows } = await pool.query("select * from llmq.claim_pending_llm_requests($1, $2)", [
        maxRequests,
        workerId,
      ]);
      return rows.map(claimedRequest);
    },
    async takeCancellations(workerId: string): Promise<{ requestId: string; claimId: string }[]> {
      const { rows } = await pool.query("select request_id, claim_id from llmq.take_cancellations($1)", [
        workerId,
      ]);
      return rows.map((row) => ({ requestId: row.request_id, claimId: row.claim_id }));
    },
    /** Which of these claims it holds no more. */
    async lostClaims(workerId: string, claimIds: string[]): Promise<string[]> {
      const { rows } = await pool.query("select llmq.lost_claims($1, $2::bigint[]) as id", [
        workerId,
        claimIds,
      ]);
      return rows.map((row) => row.id);
    },
    /** Calls after which this claim makes another; false when it is held no more. */
    async noteCalls(requestId: string, claimId: string, calls: LedgerCall[]): Promise<boolean> {
      const { rows } = await pool.query("select llmq.note_llm_calls($1, $2, $3) as noted", [
        requestId,
        claimId,
        JSON.stringify(calls.map(ledgerRow)),
      ]);
      return rows[0].noted;
    },
    async complete(outcomes: CompletedOutcome[]): Promise<AppliedOutcome[]> {
      const { rows } = await pool.query("select request_id, applied from llmq.complete_llm_requests($1)", [
        JSON.stringify(outcomes.map(completedRow)),
      ]);
      return rows.map((row) => ({
        requestId: row.request_id,
        applied: row.applied,
        status: row.applied ? "completed" : null,
        runAt: null,
      }));
    },
    async fail(outcomes: FailedOutcome[]): Promise<AppliedOutcome[]> {
      const { rows } = await pool.query(
        "select request_id, applied, status, run_at from llmq.fail_llm_requests($1)",
        [JSON.stringify(outcomes.map(failedRow))],
      );
      return rows.map((row) => ({
        requestId: row.request_id,
        applied: row.applied,
        status: row.status,
        runAt: row.run_at,
      }));
    },
    /** Claims whose rows somebody else's transaction holds at this moment. */
    async busyClaims(claimIds: string[]): Promise<string[]> {
      const { rows } = await pool.query("select llmq.busy_claims($1::bigint[]) as id", [claimIds]);
      return rows.map((row) => row.id);
    },
    /** Gives back what this worker holds by any other claim than these; how many. */
    async releaseAllBut(workerId: string, claimIds: string[]): Promise<number> {
      const { rows } = await pool.query(
        "select llmq.release_llm_requests($1, except_claims => $2::bigint[]) as released",
        [workerId, claimIds],
      );
      return rows[0].released;
    },
    /** From now on submits notify; true when they did not before, so that one more look is due. */
    async armWake(): Promise<boolean> {
      const { rows } = await pool.query("select llmq.arm_wake() as armed");
      return rows[0].armed;
    },
    async disarmWake(): Promise<void> {
      await pool.query("select llmq.disarm_wake()");
    },
    /** Null when another process did it within the last second. */
    async maintain(): Promise<Maintenance | null> {
      const { rows } = await pool.query("select llmq.maintain() as done");
      return rows[0].done;
    },
    async ensurePartitions(): Promise<number> {
      const { rows } = await pool.query("select llmq.ensure_partitions() as made");
      return rows[0].made;
    },
    async cleanup(retentionDays: number): Promise<number> {
      const { rows } = await pool.query(
        "select llmq.cleanup_llm_requests($1 * interval '1 day') as removed",
        [retentionDays],
      );
      return Number(rows[0].removed);
    },
  };
}
