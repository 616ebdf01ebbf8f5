/** From what came over HTTP to what the queries take; anything else is refused by name. */
import type { RequestFilter } from "./api-request-types.ts";
import type { RequestStatus } from "./api-types.ts";
import { ApiError } from "./failure.ts";

const STATUSES: readonly string[] = ["pending", "processing", "completed", "failed", "cancelled"];
const MAX_LENGTH = 500;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const FILTERS = ["status", "agent", "taskType", "model", "errorType", "text", "from", "to"] as const;

/** Keys of the query string, or of a body's `filter`. Empty ones count as left out. */
export function readFilter(given: Record<string, unknown>): RequestFilter {
  const filter: RequestFilter = {};
  for (const name of FILTERS) {
    const value = given[name];
    if (value === undefined || value === null || value === "") continue;
    if (name === "status") filter.status = readStatus(value);
    else if (name === "from" || name === "to") filter[name] = readTime(name, value);
    else filter[name] = readText(name, value);
  }
  return filter;
}

export function readText(name: string, value: unknown): string {
  if (typeof value !== "string" || value === "" || value.length > MAX_LENGTH || value.includes("\0")) {
    throw new ApiError(400, `${name} must be a text of 1 to ${MAX_LENGTH} characters`);
  }
  return value;
}

export function readFlag(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw new ApiError(400, `${name} must be true or false`);
  return value;
}

/** In lower case. */
export function readId(name: string, value: string): string {
  const id = value.toLowerCase();
  if (!UUID.test(id)) throw new ApiError(400, `${name} must be the id of a request, a UUID`);
  return id;
}

export function readLimit(value: string | null): number {
  const limit = value === null ? 50 : Number(value);
  if (!Number.isInteger(limit) || limit < 1 || limit > 200) {
    throw new ApiError(400, "limit must be a whole number from 1 to 200");
  }
  return limit;
}

function readStatus(value: unknown): RequestStatus {
  if (typeof value !== "string" || !STATUSES.includes(value)) {
    throw new ApiError(400, `status must be one of ${STATUSES.join(", ")}`);
  }
  return value as RequestStatus;
}

function readTime(name: string, value: unknown): string {
  const time = typeof value === "string" ? new Date(value) : null;
  if (time === null || Number.isNaN(time.getTime())) {
    throw new ApiError(400, `${name} must be a time like 2026-01-31T12:00:00Z`);
  }
  return time.toISOString();
}
