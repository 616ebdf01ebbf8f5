import type { Pool, QueryResultRow } from "pg";
import { inTransaction } from "./transaction.ts";

/** Runs one statement of a page or of the metrics, and answers its rows. */
export type Read = <Row extends QueryResultRow>(text: string, values?: unknown[]) => Promise<Row[]>;

/** A page that takes longer tells its reader less, instead of costing the queue more. */
export const READ_LIMIT_MS = 3_000;

/**
 * Reads that cannot disturb the queue: in a read-only transaction, one process of the server each, ended by the
 * server after `limitMs` (SQLSTATE 57014).
 */
export function createReads(pool: Pool, limitMs = READ_LIMIT_MS): Read {
  const begin =
    `begin read only; set local statement_timeout = ${limitMs}; ` +
    "set local max_parallel_workers_per_gather = 0; set local jit = off";
  return <Row extends QueryResultRow>(text: string, values: unknown[] = []) =>
    inTransaction(pool, begin, async (client) => (await client.query<Row>(text, values)).rows);
}

/** SQLSTATE 57014: the statement was ended by its time limit. */
export function tookTooLong(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "57014";
}

/** Arguments of a statement, numbered as they come. */
export function createArguments(): { values: unknown[]; add(value: unknown): string } {
  const values: unknown[] = [];
  return {
    values,
    add: (value) => `$${values.push(value)}`,
  };
}
