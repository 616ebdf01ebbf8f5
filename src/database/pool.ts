import { Pool, type PoolConfig } from "pg";
import type { Logger } from "pino";

export type PoolOptions = {
  connectionString: string;
  max: number;
  applicationName: string;
  /** Every statement ends after this; 0 leaves the server's own limit. */
  statementTimeoutMs?: number;
  logger?: Logger;
};

/**
 * A pool whose broken connections never take the process down, with keep-alive and a time limit on every
 * statement. Works through PgBouncer in transaction mode: no session state is relied on.
 */
export function createPool(options: PoolOptions): Pool {
  const config: PoolConfig = {
    connectionString: options.connectionString,
    max: options.max,
    application_name: options.applicationName,
    keepAlive: true,
    connectionTimeoutMillis: 10_000,
    query_timeout: options.statementTimeoutMs ?? 60_000,
  };
  const pool = new Pool(config);
  pool.on("error", (error) => options.logger?.warn({ err: error }, "database connection lost"));
  return pool;
}
