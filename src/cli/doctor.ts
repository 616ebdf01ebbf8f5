import pg from "pg";
import type { ExitCode } from "../errors.ts";
import type { Command, CommandContext } from "./context.ts";
import { type DatabaseServer, openServer } from "./database.ts";
import { type Check, type Finding, type Level, oneRow, type Patient } from "./doctor/finding.ts";
import { listenerCheck } from "./doctor/listener-check.ts";
import { schemaChecks } from "./doctor/schema-checks.ts";
import { serverChecks, vacuumChecks } from "./doctor/server-checks.ts";
import { workChecks } from "./doctor/work-checks.ts";
import { counted } from "./format.ts";
import { describeError } from "./report-error.ts";

export type DoctorOptions = { json?: boolean };

const CHECKS: Check[] = [...serverChecks, listenerCheck, ...schemaChecks, ...vacuumChecks, ...workChecks];

/** `llmq doctor`: 1 when anything fails; warnings do not count. */
export const runDoctor: Command<DoctorOptions> = async (context, options) => {
  const findings: Finding[] = [];
  const report = (finding: Finding) => {
    findings.push(finding);
    if (options.json !== true) printFinding(context, finding);
  };
  await examine(context, report);
  const of = (level: Level) => findings.filter((finding) => finding.level === level).length;
  if (options.json)
    context.out.line(JSON.stringify({ checks: findings, failed: of("fail"), warnings: of("warn") }, null, 2));
  else printSummary(context, of("fail"), of("warn"));
  return of("fail") === 0 ? 0 : 1;
};

async function examine(context: CommandContext, report: (finding: Finding) => void): Promise<void> {
  let server: DatabaseServer | undefined;
  let client: pg.Client | undefined;
  try {
    server = await openServer(context);
    client = new pg.Client({
      connectionString: server.url,
      application_name: "llmq doctor",
      connectionTimeoutMillis: 10_000,
      query_timeout: 30_000,
    });
    client.on("error", () => undefined);
    await client.connect();
    const { name, role } = await oneRow<{ name: string; role: string }>(
      client,
      "select current_database() as name, current_user::text as role",
    );
    report({
      check: "connection",
      level: "ok",
      message: `database ${name} as ${role}${server.embedded ? ", embedded" : ""}`,
    });
    const { config, env } = context;
    await runChecks({ client, config, env, listenUrl: config.listenUrl ?? server.url }, report);
  } catch (error) {
    const { message, hint } = describeError(error);
    report({ check: "connection", level: "fail", message, todo: hint ?? "Check DATABASE_URL." });
  } finally {
    await client?.end().catch(() => undefined);
    await server?.close();
  }
}

async function runChecks(patient: Patient, report: (finding: Finding) => void): Promise<void> {
  const { present } = await oneRow<{ present: boolean }>(
    patient.client,
    "select exists (select from pg_catalog.pg_namespace where nspname = 'llmq') as present",
  );
  for (const check of CHECKS) {
    if (check.needsSchema && !present) continue;
    for (const result of [await attempt(check, patient)].flat()) report({ check: check.name, ...result });
  }
  if (!present)
    report({ check: "schema", level: "fail", message: "there is no schema llmq", todo: "Run: llmq migrate" });
}

/** A check that fails itself says so; a role that may not look is no failure of the set-up. */
async function attempt(check: Check, patient: Patient): ReturnType<Check["run"]> {
  try {
    return await check.run(patient);
  } catch (error) {
    const { code, message } = describeError(error);
    if (code === "42501") return { level: "skip", message: `this role may not look: ${message}` };
    return { level: "fail", message: `could not be checked: ${message}`, todo: "Mend this first." };
  }
}

const SIGNS = { ok: ["green", "✓"], warn: ["yellow", "!"], fail: ["red", "✗"], skip: ["dim", "-"] } as const;

/** In a pipe the level is a word, for grep. */
function printFinding({ out }: CommandContext, { check, level, message, todo }: Finding): void {
  const [colour, sign] = SIGNS[level];
  const mark = out.isTTY ? out.style(colour, sign) : level.padEnd(4);
  out.line(`${mark} ${check.padEnd(15)} ${message}`);
  if (todo !== undefined) out.line(`${" ".repeat(out.isTTY ? 18 : 21)}${out.style("cyan", todo)}`);
}

function printSummary({ out }: CommandContext, failed: number, warnings: number): ExitCode {
  const parts = [
    failed > 0
      ? out.style("red", `${counted(failed, "check")} failed`)
      : out.style("green", "nothing failed"),
    warnings > 0 ? out.style("yellow", counted(warnings, "warning")) : "no warnings",
  ];
  out.line();
  out.line(parts.join(", "));
  return failed > 0 ? 1 : 0;
}
