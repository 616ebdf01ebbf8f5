import type pg from "pg";
import type { Config, Environment } from "../../config.ts";

export type Level = "ok" | "warn" | "fail" | "skip";

/** One line of the doctor's report. */
export type Finding = {
  /** What was looked at, in two or three words. */
  check: string;
  level: Level;
  /** What was found. */
  message: string;
  /** The next step; absent when all is well. */
  todo?: string;
};

/** What checks look at. `client` is a connection to the queue's database. */
export type Patient = {
  client: pg.Client;
  /** Where LISTEN is done. */
  listenUrl: string;
  config: Config;
  env: Environment;
};

/** One or several findings of the same name. What it throws is reported as "could not be checked". */
export type Check = {
  name: string;
  /** Runs only when the schema is there. */
  needsSchema: boolean;
  run(patient: Patient): Promise<Result[] | Result>;
};

export type Result = Omit<Finding, "check">;

export function ok(message: string): Result {
  return { level: "ok", message };
}

export function warn(message: string, todo: string): Result {
  return { level: "warn", message, todo };
}

export function fail(message: string, todo: string): Result {
  return { level: "fail", message, todo };
}

/** Does not apply here, or is a matter of choice. */
export function skip(message: string): Result {
  return { level: "skip", message };
}

/** The only row of a query that always has one. */
export async function oneRow<Row extends pg.QueryResultRow>(
  client: pg.Client,
  text: string,
  values: unknown[] = [],
): Promise<Row> {
  const { rows } = await client.query<Row>(text, values);
  const row = rows[0];
  if (row === undefined) throw new Error("the query gave no row");
  return row;
}
