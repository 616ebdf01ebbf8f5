import { addFirstModels, hasModels } from "../database/first-models.ts";
import { createPool } from "../database/pool.ts";
import { UsageError } from "../errors.ts";
import { createLogger } from "../logger.ts";
import { createService } from "../service.ts";
import type { Command, CommandContext } from "./context.ts";
import { type DatabaseServer, openServer } from "./database.ts";
import { interruptible } from "./interruptible.ts";

/** `llmq start`: runs one orchestrator until it is told to stop; exits 0 after a clean stop. */
export const runStart: Command = async (context) => {
  const { config, env, out } = context;
  const logger = createLogger({ level: config.logLevel, secrets: config.secrets });
  const server = await openServer(context, { create: true });
  try {
    await interruptible(prepare(server, context), context.hurrySignal);
    const service = createService({
      config,
      env,
      databaseUrl: server.url,
      listenUrl: config.listenUrl ?? server.url,
      logger,
      version: context.version,
    });
    await interruptible(service.start(), context.hurrySignal);
    if (server.embedded) out.line(`The queue is at ${server.url}`);
    if (service.httpUrl !== null) {
      logger.info({ url: service.httpUrl, dashboard: config.http?.dashboard !== null }, "serving HTTP");
      if (server.embedded) out.line(`${whatIsServed(config)}: ${service.httpUrl}`);
    }
    await untilAborted(context.stopSignal);
    logger.info({ graceMs: config.shutdownGraceMs }, "stopping");
    context.hurrySignal.addEventListener("abort", () => void service.stop(0), { once: true });
    await service.stop(config.shutdownGraceMs);
    return 0;
  } finally {
    await server.close();
  }
};

async function prepare(server: DatabaseServer, context: CommandContext): Promise<void> {
  if (server.embedded) await migrateEmbedded(server.url, context);
  await prepareModels(server.url, context);
}

/** An own Postgres is migrated by `llmq migrate`, on purpose; the embedded one belongs to this program alone. */
export async function migrateEmbedded(url: string, { config }: CommandContext): Promise<void> {
  const { migrate } = await import("../database/migrate.ts");
  await migrate({ connectionString: url, log: createLogger({ level: "warn", secrets: config.secrets }) });
}

async function prepareModels(url: string, { config, out }: CommandContext): Promise<void> {
  const pool = createPool({ connectionString: url, max: 1, applicationName: "llmq start" });
  try {
    const { rows } = await pool.query("select to_regclass('llmq.models') is not null as has_schema");
    if (!rows[0].has_schema)
      throw new UsageError("this database has no schema llmq", { hint: "Run: llmq migrate" });
    const added = await addFirstModels(pool, config.keys);
    if (added.length > 0) out.line(`Added models and routes for the keys found: ${added.join(", ")}`);
    if (await hasModels(pool)) return;
    throw new UsageError("there is no model to ask", {
      hint: "Set OPENAI_API_KEY, ANTHROPIC_API_KEY or GOOGLE_GENERATIVE_AI_API_KEY, or add one: select llmq.configure_provider(...), llmq.configure_model(...), llmq.configure_route(...).",
    });
  } finally {
    await pool.end();
  }
}

/** For the line in front of the address. */
export function whatIsServed({ http }: CommandContext["config"]): string {
  return http?.dashboard === null ? "Health and metrics" : "Dashboard, health and metrics";
}

export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
