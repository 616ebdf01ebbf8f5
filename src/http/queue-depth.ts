import type { Pool } from "pg";

export type QueueDepth = { status: string; model: string; requests: number; oldestAgeSeconds: number };

/** A scrape must not wait for a database in trouble. */
const TIME_LIMIT_MS = 5_000;

/** The view `llmq.queue_depth`, summed over priorities. */
export async function readQueueDepth(pool: Pick<Pool, "query">): Promise<QueueDepth[]> {
  const query = {
    text:
      "select d.status, coalesce(d.model, '') as model, sum(d.requests)::float8 as requests, " +
      "extract(epoch from max(d.oldest_age))::float8 as oldest_age_seconds " +
      "from llmq.queue_depth as d group by 1, 2",
    query_timeout: TIME_LIMIT_MS,
  };
  const { rows } = await pool.query<{
    status: string;
    model: string;
    requests: number;
    oldest_age_seconds: number;
  }>(query);
  return rows.map((row) => ({
    status: row.status,
    model: row.model,
    requests: row.requests,
    oldestAgeSeconds: row.oldest_age_seconds,
  }));
}
