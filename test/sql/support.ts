import type pg from "pg";
import type { TestDatabase } from "../support/database.ts";

/** Anything with node-postgres' `query`: a pool, or a connection with a transaction of its own. */
export type Queryable = { query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }> };

export const unknownId = "01890000-0000-7000-8000-000000000000";
export const hello = [{ role: "user", content: "hello" }];

/**
 * One simulated provider with the models `first`, `second` (100,000 tokens of context) and `third` (1,000,000):
 * the route of every request, in this order. `alone` is on no route.
 */
export async function configureModels(database: TestDatabase): Promise<void> {
  await database.query(`
    select llmq.configure_provider('sim', 'sim');
    select llmq.configure_model('first', 'sim', context_window => 10000);
    select llmq.configure_model('second', 'sim', context_window => 100000);
    select llmq.configure_model('third', 'sim', context_window => 1000000);
    select llmq.configure_model('alone', 'sim');
    select llmq.configure_route('*', array['first', 'second', 'third']);
  `);
}

/** `select * from llmq.<name>(key => value, ...)`; objects and arrays of objects are passed as jsonb. */
export async function call<Row extends Record<string, unknown> = Record<string, unknown>>(
  on: Queryable,
  name: string,
  named: Record<string, unknown> = {},
): Promise<Row[]> {
  const entries = Object.entries(named).filter(([, value]) => value !== undefined);
  const values = entries.map(([, value]) => (isJson(value) ? JSON.stringify(value) : value));
  const list = entries.map(([key], index) => `${key} => $${index + 1}`).join(", ");
  return (await on.query(`select * from llmq.${name}(${list})`, values)).rows as Row[];
}

/** The one value of a function that answers one. */
export async function callOne<Value = unknown>(
  on: Queryable,
  name: string,
  named: Record<string, unknown> = {},
): Promise<Value> {
  const [row] = await call(on, name, named);
  return Object.values(row ?? {})[0] as Value;
}

/** Submits a small request; what it is given goes over the defaults. */
export function submit(on: Queryable, over: Record<string, unknown> = {}): Promise<string> {
  return callOne<string>(on, "submit_llm_request", {
    agent_id: "agent",
    task_type: "task",
    messages: hello,
    ...over,
  });
}

export type Claimed = { id: string; claim_id: string; agent_id: string; model: string; priority: number };

export function claim(on: Queryable, named: Record<string, unknown> = {}): Promise<Claimed[]> {
  return call<Claimed>(on, "claim_pending_llm_requests", named);
}

/** Makes the past longer: everything that limits and waiting times look at happened `seconds` earlier. */
export async function passTime(database: TestDatabase, seconds: number): Promise<void> {
  await database.query(`
    update llmq.usage set at = at - interval '${seconds} seconds', oldest_start = oldest_start - interval '${seconds} seconds';
    update llmq.agent_usage set at = at - interval '${seconds} seconds', oldest_start = oldest_start - interval '${seconds} seconds';
    update llmq.cached_answers
    set finished_at = finished_at - interval '${seconds} seconds', expires_at = expires_at - interval '${seconds} seconds';
    update llmq.model_state set cooling_until = cooling_until - interval '${seconds} seconds';
    update llmq.queue
    set started_at = started_at - interval '${seconds} seconds', run_at = run_at - interval '${seconds} seconds',
        deadline = deadline - interval '${seconds} seconds';
    update llmq.in_flight
    set started_at = started_at - interval '${seconds} seconds', run_at = run_at - interval '${seconds} seconds',
        deadline = deadline - interval '${seconds} seconds';
  `);
}

/** Claims until a request of this id is among the claimed; the others stay claimed. */
export async function claimRequest(on: Queryable, id: string): Promise<Claimed> {
  for (;;) {
    const claimed = await claim(on, { max_requests: 1000 });
    const mine = claimed.find((request) => request.id === id);
    if (mine) return mine;
    if (claimed.length === 0) throw new Error(`request ${id} cannot be claimed`);
  }
}

/** The SQLSTATE that a query fails with; "no error" when it does not. */
export async function codeOf(query: Promise<unknown>): Promise<string> {
  return (await errorOf(query))?.code ?? "no error";
}

/** The database's error, or undefined when there is none. */
export async function errorOf(query: Promise<unknown>): Promise<pg.DatabaseError | undefined> {
  try {
    await query;
    return undefined;
  } catch (error) {
    return error as pg.DatabaseError;
  }
}

/** The row of the view, whatever the status. */
export async function read(on: Queryable, id: string): Promise<Record<string, unknown>> {
  const { rows } = await on.query("select * from llmq.llm_requests where id = $1", [id]);
  return rows[0] as Record<string, unknown>;
}

/** Ledger rows of a request: number and outcome. */
export async function ledger(on: Queryable, id: string): Promise<string[]> {
  const { rows } = await on.query(
    "select number, outcome from llmq.attempts where request_id = $1 order by number",
    [id],
  );
  return (rows as { number: number; outcome: string }[]).map((row) => `${row.number} ${row.outcome}`);
}

/** A transaction on a connection of its own, rolled back at the end unless `work` ended it. */
export async function inTransaction<T>(
  database: TestDatabase,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await database.connect();
  try {
    await client.query("begin");
    return await work(client);
  } finally {
    // So that a test that fails in between does not block those after it.
    await client.end();
  }
}

/** `TestDatabase.query` answers rows; the functions above want what node-postgres answers. */
export function queryable(database: TestDatabase): Queryable {
  return { query: async (text, values) => ({ rows: await database.query(text, values) }) };
}

function isJson(value: unknown): boolean {
  if (value === null || typeof value !== "object" || value instanceof Date) return false;
  return !Array.isArray(value) || value.length === 0 || typeof value[0] === "object";
}
