import type { Pool } from "pg";
import { schemaVersion } from "../database/schema-version.ts";
import type { OrchestratorStats } from "../orchestrator/orchestrator.ts";

export type HealthCheck = { name: string; ok: boolean; message: string };

export type HealthReport = { ready: boolean; checks: HealthCheck[] };

/** Probes come every few seconds: an answer that takes longer is a no. */
const TIME_LIMIT_MS = 3_000;

/** Can this process do its work? The database answers, its schema is ours, and the orchestrator is registered. */
export async function checkHealth(
  pool: Pick<Pool, "query">,
  stats: () => OrchestratorStats,
): Promise<HealthReport> {
  const checks = [...(await checkDatabase(pool)), checkOrchestrator(stats())];
  return { ready: checks.every((check) => check.ok), checks };
}

async function checkDatabase(pool: Pick<Pool, "query">): Promise<HealthCheck[]> {
  const query = { text: "select llmq.schema_version() as version", query_timeout: TIME_LIMIT_MS };
  try {
    const { rows } = await pool.query<{ version: number }>(query);
    const version = rows[0]?.version;
    const ok = version === schemaVersion;
    return [
      { name: "database", ok: true, message: "it answers" },
      {
        name: "schema",
        ok,
        message: ok
          ? `version ${version}`
          : `version ${version}, this program needs ${schemaVersion}: run llmq migrate`,
      },
    ];
  } catch (error) {
    return [databaseFailure(error)];
  }
}

/** 3F000 and 42883: the server answers, and has no llmq. */
function databaseFailure(error: unknown): HealthCheck {
  const { code, message } = error as { code?: string; message?: string };
  if (code === "3F000" || code === "42883") {
    return { name: "schema", ok: false, message: "the database has no schema llmq: run llmq migrate" };
  }
  return { name: "database", ok: false, message: message || code || "no connection" };
}

function checkOrchestrator({ workerId, inFlight, listenerMode }: OrchestratorStats): HealthCheck {
  if (workerId === null) return { name: "orchestrator", ok: false, message: "not registered yet" };
  return { name: "orchestrator", ok: true, message: `${inFlight} in flight, ${listenerMode}` };
}
