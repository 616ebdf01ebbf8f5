/** What `/metrics` tells of the database. */
import type { Pool } from "pg";
import { createReads } from "./reads.ts";

/** Of one moment, as `llmq.read_metrics()` gives it: counts over all processes, ages in seconds, ratios from 0 to 1. */
export type DatabaseMetrics = {
  /** `model` is empty when it was deleted, `held` when nothing holds them; `oldest_due_age` is null when none is due. */
  depth: {
    status: string;
    model: string;
    held: string;
    requests: number;
    oldest_age: number;
    oldest_due_age: number | null;
  }[];
  /** `cooling`: what is left of the cool-down; null: there never was one. */
  models: {
    model: string;
    provider: string;
    breaker: "closed" | "open" | "half_open";
    paused: boolean;
    cooling: number | null;
  }[];
  limits: { kind: "model" | "provider"; name: string; limit: string; value: number; ratio: number }[];
  /** The hundred that are used most. */
  budgets: { agent_id: string; period: "day" | "month"; usd: number; ratio: number }[];
  last_hour: { model: string; status: string; requests: number; cost_usd: number }[];
  workers: { state: "alive" | "stopping" | "lost"; workers: number }[];
  tables: { table_name: string; live_rows: number; dead_rows: number; total_bytes: number }[];
  storage: {
    /** In transactions. */
    snapshot_age: number;
    /** Null when nobody holds one, and when the owner of the schema may not see since when. */
    snapshot_seconds: number | null;
    partitions_ahead: number;
    partitions_behind: number;
    default_partition_rows: number;
    notification_queue_use: number;
    /** How orchestrators that are alive listen, and how many do so. */
    listeners: Record<string, number>;
  };
};

/** The server ends the statement after this. */
const LIMIT_MS = 4_000;

/** One statement, in a read-only transaction. */
export async function readDatabaseMetrics(pool: Pool, limitMs = LIMIT_MS): Promise<DatabaseMetrics> {
  const read = createReads(pool, limitMs);
  const rows = await read<{ metrics: DatabaseMetrics }>("select llmq.read_metrics() as metrics");
  if (rows[0] === undefined) throw new Error("the database gave no metrics");
  return rows[0].metrics;
}
