/**
 * Lists of requests, newest first, that take as long on ten million rows as on ten. What an index orders is
 * asked of the database as a condition; what none does (model, error) is applied to at most `SCAN` rows of that,
 * and the answer says how far it got. A page never counts what it does not show.
 */
import type { RequestFilter, RequestPage, RequestSummary } from "../../http/dashboard/api-request-types.ts";
import type { RequestStatus } from "../../http/dashboard/api-types.ts";
import { createArguments, type Read } from "../reads.ts";

/** Rows one page may look through. */
const SCAN = 20_000;
/** Pages an action on all of a filter's requests may look through. */
const MAX_PAGES = 20;

const EVERY_STATUS: readonly RequestStatus[] = ["pending", "processing", "completed", "failed", "cancelled"];

const COLUMNS = `v.id, v.status, v.agent_id, v.task_type, v.complexity, v.priority, v.model, v.error_type,
  v.error_message, v.attempts, v.calls, v.created_at, v.started_at, v.finished_at, v.run_at,
  (v.input_tokens + v.output_tokens)::float8 as tokens, v.cost_usd::float8 as cost_usd`;

export type SummaryRow = {
  id: string;
  status: RequestStatus;
  agent_id: string;
  task_type: string;
  complexity: string;
  priority: number;
  model: string | null;
  error_type: string | null;
  error_message: string | null;
  attempts: number;
  calls: number;
  created_at: Date;
  started_at: Date | null;
  finished_at: Date | null;
  run_at: Date | null;
  tokens: number | null;
  cost_usd: number | null;
};

type Branch = { rows: SummaryRow[]; scannedTo: string | null };

/** One page of what a filter shows, from `before` (an id, exclusive) backwards in time. */
export async function readRequestPage(
  read: Read,
  filter: RequestFilter,
  { before, limit }: { before: string | null; limit: number },
): Promise<RequestPage> {
  const branches: Branch[] = [];
  for (const status of branchesOf(filter)) {
    branches.push(await readBranch(read, filter, { status, before, limit }));
  }
  // Below the newest place where a branch stopped looking, a row might be missing from the page.
  const stops = branches.flatMap(({ scannedTo }) => (scannedTo === null ? [] : [scannedTo]));
  const stop = stops.sort().at(-1) ?? null;
  const found = branches
    .flatMap(({ rows }) => rows)
    .filter(({ id }) => stop === null || id >= stop)
    .sort((one, other) => (one.id < other.id ? 1 : -1));
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  const isFull = found.length > limit && last !== undefined;
  return {
    requests: shown.map(toSummary),
    next: isFull ? last.id : stop,
    searchedTo: isFull || stop === null ? null : timeOf(stop).toISOString(),
  };
}

/** Null: all in one scan. One scan per status where only that way an index gives their order. */
function branchesOf(filter: RequestFilter): (RequestStatus | null)[] {
  const asked = filter.status === undefined ? EVERY_STATUS : [filter.status];
  const possible = asked.filter((status) => {
    if (status === "completed") return filter.errorType === undefined && filter.text === undefined;
    return status !== "cancelled" || filter.errorType === undefined;
  });
  const isPlain = filter.agent === undefined && filter.taskType === undefined;
  return isPlain && possible.length === EVERY_STATUS.length ? [null] : possible;
}

async function readBranch(
  read: Read,
  filter: RequestFilter,
  { status, before, limit }: { status: RequestStatus | null; before: string | null; limit: number },
): Promise<Branch> {
  const { values, add } = createArguments();
  const ordered = ["true"];
  const others = ["true"];
  if (status !== null) ordered.push(`v.status = ${add(status)}`);
  if (before !== null) ordered.push(`v.id < ${add(before)}::uuid`);
  if (filter.to !== undefined) ordered.push(`v.id < llmq.uuid_v7_floor(${add(filter.to)})`);
  if (filter.from !== undefined) ordered.push(`v.id >= llmq.uuid_v7_floor(${add(filter.from)})`);
  if (filter.agent !== undefined) ordered.push(`v.agent_id = ${add(filter.agent)}`);
  if (filter.taskType !== undefined) {
    // The index by task type gives the order of completed ones; the others are few, or have none by task type.
    const indexed = filter.agent === undefined && status === "completed";
    (indexed ? ordered : others).push(`v.task_type = ${add(filter.taskType)}`);
  }
  if (filter.model !== undefined) others.push(`v.model = ${add(filter.model)}`);
  if (filter.errorType !== undefined) others.push(`v.error_type = ${add(filter.errorType)}`);
  if (filter.text !== undefined) others.push(`v.error_message ilike ${add(`%${likeLiteral(filter.text)}%`)}`);
  const scan = others.length === 1 ? limit + 1 : SCAN;
  const rows = await read<SummaryRow & { scanned_to: string | null }>(
    `with v as materialized (
       select ${COLUMNS} from llmq.llm_requests as v where ${ordered.join(" and ")} order by v.id desc limit ${scan}
     ), reach as (
       select count(*) as rows, (select v.id from v order by v.id limit 1) as last from v
     )
     select f.*, case when r.rows = ${SCAN} then r.last end as scanned_to
     from reach as r
     left join lateral (
       select * from v where ${others.join(" and ")} order by v.id desc limit ${limit + 1}
     ) as f on true`,
    values,
  );
  return {
    rows: rows.filter((row) => row.id !== null),
    scannedTo: rows[0]?.scanned_to ?? null,
  };
}

/** Ids of a filter's requests in one of these states, newest first, at most `limit`; for actions on all of them. */
export async function readMatchingIds(
  read: Read,
  filter: RequestFilter,
  statuses: readonly RequestStatus[],
  limit: number,
): Promise<{ ids: string[]; more: boolean }> {
  const ids: string[] = [];
  let more = false;
  for (const status of statuses) {
    if (filter.status !== undefined && filter.status !== status) continue;
    let before: string | null = null;
    for (let pages = 0; pages < MAX_PAGES; pages++) {
      const page: RequestPage = await readRequestPage(
        read,
        { ...filter, status },
        { before, limit: limit - ids.length },
      );
      ids.push(...page.requests.map(({ id }) => id));
      before = page.next;
      if (before === null || ids.length >= limit) break;
    }
    more ||= before !== null;
    if (ids.length >= limit) break;
  }
  return { ids, more };
}

export function toSummary(row: SummaryRow): RequestSummary {
  return {
    id: row.id,
    status: row.status,
    agent: row.agent_id,
    taskType: row.task_type,
    complexity: row.complexity,
    priority: row.priority,
    model: row.model,
    errorType: row.error_type,
    errorMessage: row.error_message,
    attempts: row.attempts,
    calls: row.calls,
    createdAt: row.created_at.toISOString(),
    startedAt: row.started_at?.toISOString() ?? null,
    finishedAt: row.finished_at?.toISOString() ?? null,
    runAt: row.run_at?.toISOString() ?? null,
    tokens: row.tokens,
    costUsd: row.cost_usd,
  };
}

function likeLiteral(text: string): string {
  return text.replaceAll(/[\\%_]/g, "\\$&");
}

/** The first 48 bits of a UUIDv7 are milliseconds since 1970. */
function timeOf(id: string): Date {
  return new Date(Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16));
}
