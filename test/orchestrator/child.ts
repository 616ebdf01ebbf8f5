/** A program of its own with one orchestrator: answers one request, stops, and has nothing left to do. */
import { pino } from "pino";
import { createAnswerChecker } from "../../src/answer/answer-checker.ts";
import { createPool } from "../../src/database/pool.ts";
import { createOrchestrator } from "../../src/orchestrator/orchestrator.ts";
import { createProviders } from "../../src/providers/registry.ts";

const url = process.argv[2] ?? "";
const logger = pino({ level: "silent" });
const pool = createPool({ connectionString: url, max: 4, applicationName: "child", logger });
const providers = createProviders({ env: {} });
const finished = Promise.withResolvers<void>();
const orchestrator = createOrchestrator({
  pool,
  checker: createAnswerChecker(),
  providers,
  logger,
  listenUrl: url,
  pollIntervalMs: 100,
  batchSize: 50,
  concurrency: 10,
  heartbeatIntervalMs: 60_000,
  retentionDays: 90,
  observer: { finished: () => finished.resolve() },
});
await orchestrator.start();
await finished.promise;
await orchestrator.stop(60_000);
await providers.close();
await pool.end();
console.log("done");
