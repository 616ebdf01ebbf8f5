import { sqlErrorEntry } from "../../errors.ts";
import type { ApiFailure } from "./api-types.ts";

/** What the caller of the API did wrong, or what it cannot have. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly hint: string | null;

  constructor(status: number, message: string, hint: string | null = null) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

/** The answer to an error: its own words where they are for people, else null. */
export function describeFailure(error: unknown): { status: number; body: ApiFailure } | null {
  if (error instanceof ApiError) return failure(error.status, error.message, error.hint);
  const { code, message, hint } = error as { code?: string; message?: string; hint?: string };
  const known = sqlErrorEntry(code);
  if (known !== undefined) {
    const status = known.name === "not_found" ? 404 : known.name === "not_your_agent" ? 403 : 409;
    return failure(status, message ?? known.meaning, hint ?? known.whatToDo);
  }
  switch (code) {
    case "57014":
      return failure(
        503,
        "the database took too long",
        "Narrow the filter, or try again when there is less to do.",
      );
    case "42501":
      return failure(
        403,
        `the dashboard's database role may not do that: ${message}`,
        "Give LLMQ_DASHBOARD_DATABASE_URL a role that may, for example a member of llmq_admin.",
      );
    case "3F000":
    case "42P01":
      return failure(503, "the database has no schema llmq, or another version of it", "Run: llmq migrate");
    default:
      return isConnectionProblem(code, message)
        ? failure(503, `the database does not answer: ${message || code}`, "It is tried again by itself.")
        : null;
  }
}

function failure(status: number, error: string, hint: string | null) {
  return { status, body: hint === null ? { error } : { error, hint } };
}

/** Class 08 and 57P of SQLSTATE, the network's own codes, and what node-postgres says without a code. */
function isConnectionProblem(code = "", message = ""): boolean {
  return /^(08|57P|53300|E[A-Z]+$)/.test(code) || /connection|timeout/i.test(message);
}
