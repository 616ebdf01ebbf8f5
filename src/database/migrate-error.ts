/** Why a database was not migrated. Nothing of a failed migration stays behind. */
export type MigrationErrorCode =
  /** No connection, or it was lost. */
  | "connection_failed"
  /** Older than PostgreSQL 14. */
  | "unsupported_server"
  /** The role may not create schemas here. */
  | "insufficient_privilege"
  /** Another process held the migration lock for too long. */
  | "lock_timeout"
  /** graphile-migrate's history in this database belongs to another application. */
  | "foreign_history"
  /** The history begins like ours and goes on with migrations this program does not have. */
  | "newer_than_program"
  /** The schema llmq exists and no history does: installed from dist/llmq.sql or by hand. */
  | "installed_without_history"
  /** A statement of a migration failed. */
  | "migration_failed"
  /** All migrations ran, and what is there is not what was expected. */
  | "verification_failed";

/** Thrown by `migrate`: `message` says what is wrong, `hint` what to do next, `cause` holds the first error. */
export class MigrationError extends Error {
  readonly code: MigrationErrorCode;
  readonly hint: string;

  constructor(code: MigrationErrorCode, message: string, hint: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "MigrationError";
    this.code = code;
    this.hint = hint;
  }
}

/** The error for a connection that could not be made or was lost. */
export function connectionFailure(error: unknown): MigrationError {
  const message = error instanceof Error ? error.message || error.constructor.name : String(error);
  return new MigrationError(
    "connection_failed",
    `no connection to the database, or it was lost: ${message}`,
    "Check DATABASE_URL, and that the server runs and lets this machine in.",
    error,
  );
}

/** Turns whatever a migration ended with into a MigrationError, with what the server said. */
export function asMigrationError(error: unknown): MigrationError {
  const fields = error as {
    message?: string;
    code?: string;
    detail?: string;
    where?: string;
    position?: string;
  };
  if (fields.code === "42501") {
    return new MigrationError(
      "insufficient_privilege",
      `a migration needs more rights: ${fields.message}`,
      "Migrate as the role that owns the database (or that owns the schemas llmq and graphile_migrate).",
      error,
    );
  }
  const place = [fields.code && `SQLSTATE ${fields.code}`, fields.detail, fields.where]
    .filter(Boolean)
    .join("; ");
  return new MigrationError(
    "migration_failed",
    `migrating failed: ${fields.message ?? String(error)}${place ? ` (${place})` : ""}`,
    "Nothing of the failed migration stays. Correct the cause and run `llmq migrate` again.",
    error,
  );
}
