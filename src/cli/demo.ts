import { setMaxListeners } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import { startEmbeddedPostgres } from "../database/embedded.ts";
import { addFirstModels } from "../database/first-models.ts";
import { migrate } from "../database/migrate.ts";
import { createPool } from "../database/pool.ts";
import { createRecoveringProvider, type RecoveringProvider } from "../demo/recovering-provider.ts";
import { asExpected, eventLine, table } from "../demo/report.ts";
import { runScenario, type Story } from "../demo/run-scenarios.ts";
import { SCENARIOS, type Scenario } from "../demo/scenarios.ts";
import { createLogger } from "../logger.ts";
import { createService } from "../service.ts";
import type { Command, CommandContext } from "./context.ts";
import { untilAborted, whatIsServed } from "./start.ts";

export type DemoOptions = { keep?: boolean };

/** At least; the provider stays down until a request has met it so. */
const OUTAGE_MS = 1_500;
const REAL_DEADLINE_MS = 60_000;

/**
 * `llmq demo`: an embedded Postgres of its own, one orchestrator, and one request for every outcome,
 * submitted through SQL. Exits 1 when an outcome is not what it should be.
 */
export const runDemo: Command<DemoOptions> = async (context, { keep = false }) => {
  const { config, env, out, err } = context;
  const directory = join(config.dataDir, "demo");
  const logger = createLogger({ level: keep ? config.logLevel : "fatal", secrets: config.secrets });
  err.progress("starting an embedded Postgres ...");
  const server = await startEmbeddedPostgres({ dataDir: directory, log: logger });
  const outage = await createRecoveringProvider();
  const pool = createPool({ connectionString: server.url, max: 12, applicationName: "llmq demo", logger });
  try {
    err.progress("creating the schema ...");
    await migrate({ connectionString: server.url, log: logger });
    await configure(pool, outage, context);
    err.clearProgress();
    const service = createService({
      config: keep ? config : { ...config, http: null },
      env,
      databaseUrl: server.url,
      listenUrl: server.url,
      logger,
      version: context.version,
    });
    await service.start();
    out.line(
      `PostgreSQL ${server.pgVersion}${server.hasPgmq ? " with pgmq" : ""}, one orchestrator. Each request is one call of llmq.submit_llm_request().`,
    );
    out.line("");
    const stories = await tellStories(pool, outage, context);
    out.line("");
    out.line(table(stories, out.isTTY ? out.width : Number.POSITIVE_INFINITY));
    const wrong = stories.filter((story) => !asExpected(story));
    for (const { scenario } of wrong) out.line(`Not as expected: ${scenario.title}`);
    if (keep) await keepRunning(context, server.url, service.httpUrl);
    await service.stop(keep ? config.shutdownGraceMs : 1_000);
    return wrong.length === 0 ? 0 : 1;
  } finally {
    err.clearProgress();
    await outage.stop();
    await pool.end();
    await server.stop({ removeData: !keep });
    if (!keep) await rm(directory, { recursive: true, force: true });
  }
};

async function configure(pool: Pool, outage: RecoveringProvider, { config }: CommandContext): Promise<void> {
  await addFirstModels(pool, config.keys);
  await pool.query(
    "select llmq.configure_provider('sim', 'sim'), llmq.configure_provider('recovering', 'openai-compatible', $1)",
    [outage.baseUrl],
  );
  await pool.query(
    "select llmq.configure_model('sim', 'sim'), llmq.configure_model('recovering', 'recovering')",
  );
  if (config.keys.length === 0) await pool.query("select llmq.configure_route('*', array['sim'])");
  // A demo does not wait as long between two attempts as a provider would be given in earnest.
  await pool.query(`update llmq.settings set value = '"400 milliseconds"' where name = 'retry_base'`);
}

async function tellStories(
  pool: Pool,
  outage: RecoveringProvider,
  context: CommandContext,
): Promise<Story[]> {
  const { config, out, stopSignal } = context;
  setMaxListeners(SCENARIOS.length + 5, stopSignal);
  const startedAt = performance.now();
  const wasDown = Promise.withResolvers<void>();
  const tell = (scenario: Scenario, text: string) => {
    out.line(eventLine(performance.now() - startedAt, scenario.title, text));
    if (scenario.submit.model === "recovering" && text.startsWith("pending")) wasDown.resolve();
  };
  const recovery = Promise.all([sleep(OUTAGE_MS, undefined, { signal: stopSignal }), wasDown.promise])
    .then(() => outage.recover())
    .catch(() => undefined);
  const scenarios = SCENARIOS.map((scenario) => chooseModel(scenario, config.keys.length > 0));
  const stories = await Promise.all(
    scenarios.map((scenario) => runScenario(pool, scenario, tell, stopSignal)),
  );
  wasDown.resolve();
  await recovery;
  return stories;
}

/** With a key, what a real model can answer is asked of it; what must go wrong is simulated. */
function chooseModel(scenario: Scenario, hasKey: boolean): Scenario {
  if (!hasKey || "model" in scenario.submit) return scenario;
  if (scenario.realToo !== true) return { ...scenario, submit: { ...scenario.submit, model: "sim" } };
  const { settings: _simulated, ...submit } = scenario.submit;
  // A real model may answer otherwise than planned, and a wrong key must not keep the demo waiting for ever.
  const deadline = new Date(Date.now() + REAL_DEADLINE_MS).toISOString();
  return { ...scenario, expect: null, submit: { ...submit, deadline } };
}

async function keepRunning(
  { out, stopSignal, config }: CommandContext,
  url: string,
  httpUrl: string | null,
): Promise<void> {
  out.line("");
  out.line(`Still running. The queue: ${url}`);
  if (httpUrl !== null) out.line(`${whatIsServed(config)}: ${httpUrl}`);
  out.line("Ctrl-C ends it.");
  await untilAborted(stopSignal);
}
