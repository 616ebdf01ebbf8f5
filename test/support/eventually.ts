import type { TestDatabase } from "./database.ts";

/** How long a test waits for what must come; long, since only a failing test and a stalled machine get there. */
const deadlineMs = 30_000;

/**
 * Calls `look` again and again until it answers something other than undefined, null or false, and answers
 * that. What it throws counts as "not yet" and is part of the error after the deadline.
 */
export async function eventually<T>(
  look: () => Promise<T> | T,
  options: { timeoutMs?: number; what?: string } = {},
): Promise<Exclude<T, undefined | null | false>> {
  const timeoutMs = options.timeoutMs ?? deadlineMs;
  const deadline = performance.now() + timeoutMs;
  for (let waitMs = 2; ; waitMs = Math.min(waitMs * 1.5, 100)) {
    let last: unknown;
    try {
      const seen = await look();
      if (seen !== undefined && seen !== null && seen !== false) {
        return seen as Exclude<T, undefined | null | false>;
      }
      last = seen;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      const name = options.what ?? "what the test waits for";
      throw new Error(`${name} did not come within ${timeoutMs} ms`, { cause: last });
    }
    await new Promise((wake) => setTimeout(wake, waitMs));
  }
}

/** Waits until a connection to this database waits for a lock, and answers its pid. */
export function waitForBlockedBackend(database: TestDatabase, queryContains = ""): Promise<number> {
  return eventually(
    async () => {
      const rows = await database.query<{ pid: number }>(
        "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' " +
          "and strpos(query, $1) > 0",
        [queryContains],
      );
      return rows[0]?.pid;
    },
    { what: "a connection that waits for a lock" },
  );
}

/** Waits until a connection to this database with this text in its last query is idle or in a given wait. */
export function waitForBackend(
  database: TestDatabase,
  wanted: { queryContains: string; state?: string; waitEvent?: string },
): Promise<number> {
  return eventually(
    async () => {
      const rows = await database.query<{ pid: number }>(
        "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() " +
          "and strpos(query, $1) > 0 and ($2::text is null or state = $2) and ($3::text is null or wait_event = $3)",
        [wanted.queryContains, wanted.state ?? null, wanted.waitEvent ?? null],
      );
      return rows[0]?.pid;
    },
    { what: `a connection running ${wanted.queryContains}` },
  );
}
