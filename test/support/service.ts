import { pino } from "pino";
import { createAnswerChecker } from "../../src/answer/answer-checker.ts";
import { createOrchestrator, type Orchestrator } from "../../src/orchestrator/orchestrator.ts";
import { createProviders } from "../../src/providers/registry.ts";
import { createSharedQueueLoop, type SharedQueueLoop } from "../../src/shared-queues/shared-queue-loop.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";

export type Service = { database: TestDatabase; stop(): Promise<void> };

/** A database with one simulated model for everything, which calls the tools it is offered, and an orchestrator. */
export async function startService(): Promise<Service> {
  const database = await createTestDatabase();
  await database.query(`
    select llmq.configure_provider('house-sim', 'sim');
    select llmq.configure_model('house-sim', 'house-sim', options => '{"sim": {"call_tools": true}}');
    select llmq.configure_route('*', array['house-sim']);`);
  const logger = pino({ level: "silent" });
  const pool = database.pool({ max: 4 });
  const orchestrator: Orchestrator = createOrchestrator({
    pool,
    checker: createAnswerChecker(),
    providers: createProviders({ env: {} }),
    logger,
    listenUrl: null,
    pollIntervalMs: 10,
    batchSize: 50,
    concurrency: 100,
    heartbeatIntervalMs: 5_000,
    retentionDays: 90,
  });
  const sharedQueues: SharedQueueLoop = createSharedQueueLoop({
    pool,
    checker: createAnswerChecker(),
    logger,
    pollIntervalMs: 10,
  });
  await orchestrator.start();
  sharedQueues.start();
  return {
    database,
    stop: async () => {
      await Promise.all([orchestrator.stop(0), sharedQueues.stop()]);
      await database.drop();
    },
  };
}
