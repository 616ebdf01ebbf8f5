/** With an orchestrator: how soon a call starts, and how many requests per second go all the way. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { createPool } from "../src/database/pool.ts";
import { createClient } from "../src/index.ts";
import { createOrchestrator, type OrchestratorObserver } from "../src/orchestrator/orchestrator.ts";
import { createProviders } from "../src/providers/registry.ts";
import { type Bench, type Figure, MESSAGES, median, percentile } from "./support.ts";

const POLL_MS = 100;
const SCHEMA = {
  type: "object",
  properties: { answer: { type: "string" }, score: { type: "number" } },
  required: ["answer", "score"],
};

export async function startLatency(bench: Bench): Promise<Figure[]> {
  const seconds = bench.quick ? 5 : 20;
  const withNotify = await latencies(bench, true, seconds);
  const byPolling = await latencies(bench, false, seconds);
  const p50 = median(withNotify);
  const p99 = percentile(byPolling, 99);
  return [
    {
      name: "submit to start of the call at 20/s, p50",
      unit: "ms",
      llmq: p50,
      peer: null,
      ratio: null,
      target: "< 5 ms",
      ok: p50 < 5,
    },
    {
      name: `submit to start of the call by polling every ${POLL_MS} ms, p99`,
      unit: "ms",
      llmq: p99,
      peer: null,
      ratio: null,
      target: `<= ${POLL_MS + 25} ms`,
      ok: p99 <= POLL_MS + 25,
    },
  ];
}

/** From the return of the submit (its commit) to the moment the orchestrator hands the request to its provider. */
async function latencies(bench: Bench, notify: boolean, seconds: number): Promise<number[]> {
  const started = new Map<string, number>();
  const stop = await orchestrate(bench, notify, {
    started: (request) => started.set(request.id, performance.now()),
  });
  const [client] = await bench.connect(1);
  if (client === undefined) throw new Error("no connection");
  await sleep(1_000);
  const submitted = new Map<string, number>();
  for (let n = 0; n < seconds * 20; n += 1) {
    const { rows } = await client.query("select llmq.submit_llm_request('bench', 'chat', $1) as id", [
      MESSAGES,
    ]);
    submitted.set(rows[0].id, performance.now());
    // Not in step with the poll.
    await sleep(30 + Math.random() * 40);
  }
  await sleep(500);
  await stop();
  // A call may start before the submitter has read the answer to its commit: that is 0, not less.
  return [...submitted].map(([id, at]) => Math.max(0, (started.get(id) ?? Number.NaN) - at));
}

export async function wholePath(bench: Bench): Promise<Figure[]> {
  const { port, end } = await startResponder();
  await bench.query("select llmq.configure_provider('constant', 'openai-compatible', $1)", [
    `http://127.0.0.1:${port}/v1`,
  ]);
  await bench.query("select llmq.configure_model('constant', 'constant')");
  const stop = await orchestrate(bench, true, {});
  await using client = createClient({ connectionString: bench.url, agentId: "bench" });
  const messages = JSON.parse(MESSAGES);
  const total = bench.quick ? 3_000 : 10_000;
  const ask = () =>
    client.ask(
      { taskType: "chat", model: "constant", messages, responseSchema: SCHEMA },
      { timeoutMs: 60_000 },
    );
  await Promise.all(Array.from({ length: 200 }, ask));
  const rates: number[] = [];
  for (let round = 0; round < Math.min(bench.rounds, 3); round += 1) {
    const startedAt = performance.now();
    let left = total;
    const caller = async () => {
      while (left-- > 0) await ask();
    };
    await Promise.all(Array.from({ length: 400 }, caller));
    rates.push((total / (performance.now() - startedAt)) * 1000);
  }
  await stop();
  end();
  const perSecond = median(rates);
  return [
    {
      name: "whole path: submit, claim, HTTP call, schema check, store, client told; one orchestrator",
      unit: "1/s",
      llmq: perSecond,
      peer: null,
      ratio: null,
      target: ">= 1,000/s",
      ok: perSecond >= 1_000,
    },
  ];
}

async function orchestrate(
  bench: Bench,
  notify: boolean,
  observer: OrchestratorObserver,
): Promise<() => Promise<void>> {
  const logger = pino({ level: "fatal" });
  const pool = createPool({ connectionString: bench.url, max: 5, applicationName: "bench", logger });
  const providers = createProviders({ env: process.env, logger });
  const orchestrator = createOrchestrator({
    pool,
    providers,
    logger,
    listenUrl: notify ? bench.url : null,
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
