/** With an orchestrator: how soon a call starts, and how many requests per second go all the way. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { pino } from "pino";
import { createAnswerChecker } from "../src/answer/answer-checker.ts";
import { createPool } from "../src/database/pool.ts";
import { createClient, type LlmqClient } from "../src/index.ts";
import { createOrchestrator, type OrchestratorObserver } from "../src/orchestrator/orchestrator.ts";
import { createProviders } from "../src/providers/registry.ts";
import type { Benchmark, Figure } from "./benchmark.ts";
import { payload } from "./payload.ts";
import type { BenchDatabase } from "./server.ts";
import { median, percentile, secondsOf } from "./statistics.ts";

const POLL_MS = 100;
const ASKING_AT_ONCE = 400;
const SCHEMA = {
  type: "object",
  properties: { answer: { type: "string" }, score: { type: "number" } },
  required: ["answer", "score"],
};

export const startLatency: Benchmark = {
  name: "latency",
  async run({ server, quick, progress }): Promise<Figure[]> {
    const seconds = quick ? 5 : 20;
    const measure = async (notify: boolean) => {
      progress(`20 requests/s for ${seconds} s, notifications ${notify ? "on" : "off"}`);
      const database = await server.createDatabase();
      const times = await startLatencies(database, notify, seconds);
      await database.drop();
      return times;
    };
    const notified = await measure(true);
    const polled = await measure(false);
    const figure = (name: string, llmq: number, target: Figure["target"]): Figure => {
      return {
        name: `submit to start of the call at 20/s, ${name}`,
        unit: "ms",
        llmq,
        peer: null,
        ratio: null,
        target,
      };
    };
    return [
      figure("p50", percentile(notified, 0.5), { of: "llmq", below: 5 }),
      figure("p99", percentile(notified, 0.99), null),
      figure(`polling every ${POLL_MS} ms alone, p99`, percentile(polled, 0.99), {
        of: "llmq",
        atMost: POLL_MS + 25,
      }),
    ];
  },
};

/** From the return of the submit (its commit) to the moment the orchestrator hands the request to its provider. */
export async function startLatencies(
  database: BenchDatabase,
  notify: boolean,
  seconds: number,
): Promise<number[]> {
  const started = new Map<string, number>();
  const stop = await orchestrate(database.url, notify, {
    started: (request) => started.set(request.id, performance.now()),
  });
  const client = await database.connect();
  await sleep(1_000);
  const submitted = new Map<string, number>();
  for (let n = 0; n < seconds * 20; n += 1) {
    const { agent_id, task_type, messages } = payload(n);
    const { rows } = await client.query({
      name: "submit",
      text: "select llmq.submit_llm_request(agent_id => $1, task_type => $2, messages => $3) as id",
      values: [agent_id, task_type, JSON.stringify(messages)],
    });
    submitted.set(rows[0].id, performance.now());
    // Not in step with the poll.
    await sleep(30 + Math.random() * 40);
  }
  await sleep(500);
  await stop();
  return [...submitted].map(([id, at]) => {
    const startedAt = started.get(id);
    if (startedAt === undefined) throw new Error(`request ${id} was not started`);
    // A call may start before the submitter has read the answer to its commit: that is 0, not less.
    return Math.max(0, startedAt - at);
  });
}

export const wholePath: Benchmark = {
  name: "path",
  async run({ server, rounds, quick }): Promise<Figure[]> {
    const database = await server.createDatabase();
    const { port, end } = await startResponder();
    await useResponder(await database.connect(), port);
    const stop = await orchestrate(database.url, true, {});
    const client = createClient({ connectionString: database.url });
    const total = quick ? 3_000 : 10_000;
    await askAll(client, 1_000);
    const rates: number[] = [];
    for (let round = 0; round < Math.min(rounds, 5); round += 1) {
      rates.push(total / (await secondsOf(() => askAll(client, total))));
    }
    await client.close();
    await stop();
    end();
    await database.drop();
    const name = "whole path: submit, claim, HTTP call, schema check, store, client told; one orchestrator";
    const target = { of: "llmq", atLeast: 1_000 } as const;
    return [{ name, unit: "requests/s", llmq: median(rates), peer: null, ratio: null, target }];
  },
};

async function askAll(client: LlmqClient, total: number): Promise<void> {
  let asked = 0;
  const caller = async () => {
    while (asked < total) {
      const { agent_id, task_type, messages } = payload(asked++);
      await client.ask(
        {
          agentId: agent_id,
          taskType: task_type,
          model: "constant",
          messages: messages as never,
          responseSchema: SCHEMA,
        },
        { timeoutMs: 60_000 },
      );
    }
  };
  await Promise.all(Array.from({ length: ASKING_AT_ONCE }, caller));
}

async function useResponder(client: pg.Client, port: number): Promise<void> {
  await client.query("select llmq.configure_provider('constant', 'openai-compatible', $1)", [
    `http://127.0.0.1:${port}/v1`,
  ]);
  await client.query("select llmq.configure_model('constant', 'constant')");
}

async function orchestrate(
  url: string,
  notify: boolean,
  observer: OrchestratorObserver,
): Promise<() => Promise<void>> {
  const logger = pino({ level: process.env.LLMQ_LOG_LEVEL ?? "fatal" });
  const pool = createPool({ connectionString: url, max: 5, applicationName: "llmq bench", logger });
  const providers = createProviders({ env: process.env, logger });
  const orchestrator = createOrchestrator({
    pool,
    checker: createAnswerChecker(),
    providers,
    logger,
    listenUrl: notify ? url : null,
    pollIntervalMs: POLL_MS,
    batchSize: 50,
    concurrency: 1_000,
    heartbeatIntervalMs: 5_000,
    retentionDays: 90,
    observer,
  });
  await orchestrator.start();
  return async () => {
    await orchestrator.stop();
    await providers.close();
    await pool.end();
  };
}

async function startResponder(): Promise<{ port: number; end: () => void }> {
  const file = fileURLToPath(new URL("./responder.ts", import.meta.url));
  const child: ChildProcess = spawn(process.execPath, ["--import", "tsx", file], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  if (child.stdout === null) throw new Error("the responder has no output");
  const [line] = await once(child.stdout, "data");
  return { port: Number(String(line).trim()), end: () => child.stdin?.end() };
}
