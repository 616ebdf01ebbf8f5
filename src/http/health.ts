import type { Pool } from "pg";
import { schemaVersion } from "../database/schema-version.ts";
import type { OrchestratorStats } from "../orchestrator/orchestrator.ts";
import { within } from "../orchestrator/within.ts";

/** `ok` is always true for what is there for people to see and stops nothing. */
export type HealthCheck = { name: string; ok: boolean; message: string };

export type HealthReport = { ready: boolean; checks: HealthCheck[] };

/** Probes come every few seconds: an answer that takes longer is a no. */
const TIME_LIMIT_MS = 3_000;
/** A busy machine may stand still for a moment; a loop that did not look for this long does not work. */
const LOOK_LIMIT_MS = 10_000;

/** That it answers is the answer: a process whose database is away lives, and restarting it would mend nothing. */
export function checkProcess(): HealthCheck {
  return { name: "process", ok: true, message: `up for ${seconds(process.uptime() * 1000)}` };
}

/**
 * Can this process do its work? The database answers, its schema is ours, this process is registered there, and its
 * loop has just looked for work. How it listens is told, and no reason to send nobody: without it it polls.
 */
export async function checkReadiness(
  pool: Pick<Pool, "query">,
  stats: () => OrchestratorStats,
): Promise<HealthReport> {
  const checks = await checkDatabase(pool);
  const now = stats();
  checks.push(checkRegistration(now), checkClaiming(now), {
    name: "listener",
    ok: true,
    message: now.listenerMode,
  });
  return { ready: checks.every((check) => check.ok), checks };
}

async function checkDatabase(pool: Pick<Pool, "query">): Promise<HealthCheck[]> {
  const query = { text: "select llmq.schema_version() as version", query_timeout: TIME_LIMIT_MS };
  const asked = pool.query<{ version: number }>(query).then(
    ({ rows }) => schemaChecks(rows[0]?.version),
    (error: unknown) => [databaseFailure(error)],
  );
  // The limit of the query does not count the wait for a free connection.
  if (await within(TIME_LIMIT_MS, asked)) return await asked;
  return [{ name: "database", ok: false, message: `no answer within ${seconds(TIME_LIMIT_MS)}` }];
}

function schemaChecks(version: number | undefined): HealthCheck[] {
  const ok = version === schemaVersion;
  const message = ok
    ? `version ${version}`
    : `version ${version}, this program needs ${schemaVersion}: run llmq migrate`;
  return [
    { name: "database", ok: true, message: "it answers" },
    { name: "schema", ok, message },
  ];
}

/** 3F000 and 42883: the server answers, and has no llmq. */
function databaseFailure(error: unknown): HealthCheck {
  const { code, message } = error as { code?: string; message?: string };
  if (code === "3F000" || code === "42883") {
    return { name: "schema", ok: false, message: "the database has no schema llmq: run llmq migrate" };
  }
  return { name: "database", ok: false, message: message || code || "no connection" };
}

function checkRegistration({ workerId }: OrchestratorStats): HealthCheck {
  const name = "registered";
  return workerId === null
    ? { name, ok: false, message: "not registered yet" }
    : { name, ok: true, message: `worker ${workerId}` };
}

function checkClaiming(stats: OrchestratorStats): HealthCheck {
  const name = "claiming";
  const { inFlight, concurrency, lastLookAt, pollIntervalMs, stopping } = stats;
  if (stopping) return { name, ok: false, message: `shutting down, ${inFlight} in flight` };
  if (lastLookAt === null) return { name, ok: false, message: "it has not looked for work yet" };
  const sinceMs = Date.now() - lastLookAt.getTime();
  const ok = sinceMs <= Math.max(LOOK_LIMIT_MS, 3 * pollIntervalMs);
  return {
    name,
    ok,
    message: `last looked for work ${seconds(sinceMs)} ago, ${inFlight} of ${concurrency} in flight`,
  };
}

function seconds(ms: number): string {
  return `${Math.max(Math.round(ms / 100) / 10, 0)} s`;
}
