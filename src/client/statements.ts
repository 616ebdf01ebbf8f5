/**
 * The client's side of the SQL API: the statements, and what they give. Every one is a single statement, so
 * that the pool may go through a pooler in transaction mode.
 */
import type { ClientBase, Pool } from "pg";
import { fromDatabase } from "./errors.ts";
import { RESULT_COLUMNS, type Row, toExplanation, toFullLlmRequest, toLlmRequest } from "./rows.ts";
import type { FinishedLook } from "./subscriptions.ts";
import type { FullLlmRequest, LlmRequest, RequestExplanation } from "./types.ts";

/** A connection in whose transaction something is to happen, or the pool. */
export type Queryable = Pick<Pool | ClientBase, "query">;

const FINISHED = "status in ('completed', 'failed', 'cancelled')";

/** `requests` are JSON texts. All or none; the ids come in the same order. */
export async function submitRequests(on: Queryable, requests: string[]): Promise<string[]> {
  const { rows } = await on.query("select s.id from llmq.submit_llm_requests($1::jsonb) as s (id)", [
    `[${requests.join(",")}]`,
  ]);
  return rows.map((row) => row.id);
}

export async function submitToolResults(on: Queryable, id: string, toolResults: string): Promise<string> {
  return await valueOf(on, "select llmq.submit_tool_results($1, $2::jsonb) as value", [id, toolResults]);
}

export async function getRequest<T>(on: Queryable, id: string): Promise<FullLlmRequest<T>> {
  const rows = await rowsOf(on, "select * from llmq.get_llm_request($1)", [id]);
  return toFullLlmRequest<T>(rows[0] as Row);
}

export async function cancelRequest(on: Queryable, id: string, reason: string | null): Promise<boolean> {
  return await valueOf(on, "select llmq.cancel_llm_request($1, $2) as value", [id, reason]);
}

export async function retryRequest(on: Queryable, id: string): Promise<boolean> {
  return await valueOf(on, "select llmq.retry_llm_request($1) as value", [id]);
}

export async function explainRequest(on: Queryable, id: string): Promise<RequestExplanation> {
  return toExplanation(await valueOf(on, "select llmq.explain_llm_request($1) as value", [id]));
}

/** The requests among `ids` that exist, without their prompts. */
export async function findRequests(
  on: Queryable,
  ids: string[],
  finishedOnly: boolean,
): Promise<LlmRequest[]> {
  const where = finishedOnly ? `id = any($1::uuid[]) and ${FINISHED}` : "id = any($1::uuid[])";
  const rows = await rowsOf(on, `select ${RESULT_COLUMNS} from llmq.llm_requests where ${where}`, [ids]);
  return rows.map((row) => toLlmRequest(row));
}

/** One row and more: those of a look that saw nothing have no id. */
export const FINISHED_SINCE = `
select l.at, l.xid, l.xmin, r.id, r.finished_at
from (
  select extract(epoch from statement_timestamp()) * 1000 as at, pg_current_xact_id()::text as xid,
    pg_snapshot_xmin(pg_current_snapshot())::text as xmin
) as l
left join llmq.llm_requests as r
  on r.agent_id = any($1) and r.${FINISHED} and r.finished_at >= to_timestamp($2::double precision / 1000)`;

export async function finishedSince(
  on: Queryable,
  agentIds: string[],
  sinceMs: number,
): Promise<FinishedLook> {
  const rows = await rowsOf(on, FINISHED_SINCE, [agentIds, sinceMs]);
  const [look] = rows as [Row];
  return {
    at: Number(look.at),
    xid: look.xid as string,
    xmin: look.xmin as string,
    finished: rows
      .filter((row) => row.id !== null)
      .map((row) => ({ id: row.id as string, finishedAt: new Date(row.finished_at as Date) })),
  };
}

/** Milliseconds since 1970. */
export async function databaseClock(on: Queryable): Promise<number> {
  return Number(await valueOf(on, "select extract(epoch from clock_timestamp()) * 1000 as value", []));
}

async function valueOf<T>(on: Queryable, text: string, values: unknown[]): Promise<T> {
  const rows = await rowsOf(on, text, values);
  return rows[0]?.value as T;
}

async function rowsOf(on: Queryable, text: string, values: unknown[]): Promise<Row[]> {
  try {
    const { rows } = await on.query(text, values);
    return rows;
  } catch (error) {
    throw fromDatabase(error);
  }
}
