import { CommandError, type ExitCode, sqlErrorEntry } from "../errors.ts";
import type { Terminal } from "./terminal.ts";

/** What to tell about an error that ended a command. */
export type ErrorReport = {
  message: string;
  detail: string | null;
  hint: string | null;
  /** SQLSTATE, or the code of the system's or our own error. */
  code: string | null;
  exitCode: ExitCode;
};

/** Codes of connections that came to nothing. */
const UNREACHABLE = [
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENOENT",
];

export function describeError(error: unknown): ErrorReport {
  const code = textOf(error, "code");
  const base = {
    message: messageOf(error),
    detail: textOf(error, "detail"),
    hint: textOf(error, "hint"),
    code,
    exitCode: 1 as ExitCode,
  };
  if (error instanceof CommandError) return { ...base, exitCode: error.exitCode };
  const entry = sqlErrorEntry(code ?? undefined);
  if (entry !== undefined) {
    return { ...base, hint: base.hint ?? entry.whatToDo, exitCode: entry.kind === "usage" ? 2 : 1 };
  }
  if (textOf(error, "name") === "SchemaVersionError") return { ...base, exitCode: 2 };
  // Nothing but a signal aborts a command.
  if (textOf(error, "name") === "AbortError") return { ...base, message: "interrupted" };
  return { ...base, ...ofDatabase(error, base) };
}

/** Prints it in three lines at most. `verbose` adds the stack of what is not ours. */
export function printError(terminal: Terminal, error: unknown, verbose: boolean): ExitCode {
  const report = describeError(error);
  const code = report.code !== null && /^[A-Z0-9]{5}$/.test(report.code) ? ` (${report.code})` : "";
  terminal.line(
    `${terminal.style(["red", "bold"], "error:")} ${report.message}${terminal.style("dim", code)}`,
  );
  if (report.detail !== null) terminal.line(`  ${report.detail}`);
  if (report.hint !== null) terminal.line(`  ${terminal.style("cyan", report.hint)}`);
  if (verbose && error instanceof Error && error.stack !== undefined)
    terminal.line(terminal.style("dim", error.stack));
  return report.exitCode;
}

function ofDatabase(error: unknown, { code, message, hint }: ErrorReport): Partial<ErrorReport> {
  if (code !== null && UNREACHABLE.includes(code)) {
    return {
      message: `no connection to the database: ${message}`,
      hint: hint ?? "Check DATABASE_URL, and that the server runs and lets this machine in.",
    };
  }
  // Class 22: a value that is none of its type, such as an interval.
  if (code?.startsWith("22")) return { exitCode: 2 };
  switch (code) {
    case "28P01":
    case "28000":
    case "3D000":
      return { hint: hint ?? "Check DATABASE_URL: user, password and database." };
    case "42501":
      return {
        hint:
          hint ??
          "This role lacks a grant: see grants in docs/operations.md, or ask for llmq_client, llmq_reader or llmq_admin.",
      };
    default:
      return error instanceof Error ? {} : { message: String(error) };
  }
}

/** An AggregateError (every address of a host refused) has no message of its own. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError) {
    return [...new Set(error.errors.map(messageOf))].join("; ") || error.message || error.name;
  }
  return error instanceof Error ? error.message || error.name : String(error);
}

function textOf(error: unknown, field: string): string | null {
  if (typeof error !== "object" || error === null || !(field in error)) return null;
  const value: unknown = Reflect.get(error, field);
  return typeof value === "string" && value !== "" ? value : null;
}
