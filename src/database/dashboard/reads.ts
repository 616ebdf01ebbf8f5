import type { Pool, QueryResultRow } from "pg";

/** Runs one statement of the dashboard and answers its rows. */
export type Read = <Row extends QueryResultRow>(text: string, values?: unknown[]) => Promise<Row[]>;

/** A page that takes longer tells its reader less, instead of costing the queue more. */
export const READ_LIMIT_MS = 3_000;

/**
 * Reads that cannot disturb the queue: in a read-only transaction, one process of the server each, ended by the
 * server after `limitMs` (SQLSTATE 57014). Limits are the transaction's own, so no pooler minds.
 */
export function createReads(pool: Pool, limitMs = READ_LIMIT_MS): Read {
  return async <Row extends QueryResultRow>(text: string, values: unknown[] = []) => {
    const client = await pool.connect();
    let broken: Error | undefined;
    const onError = (error: Error) => {
      broken = error;
    };
    // Without a listener a connection that dies in our hands would end the process.
    client.on("error", onError);
    try {
      await client.query(
        `begin read only; set local statement_timeout = ${limitMs}; ` +
          "set local max_parallel_workers_per_gather = 0; set local jit = off",
      );
      const { rows } = await client.query<Row>(text, values);
      await client.query("commit");
      return rows;
    } catch (error) {
      await client.query("rollback").catch((failure: Error) => {
        broken = failure;
      });
      throw error;
    } finally {
      client.off("error", onError);
      client.release(broken);
    }
  };
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
