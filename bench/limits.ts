/**
 * Whether limits hold, and whether they are used: four orchestrators as processes of their own, one model at 600
 * requests and 60,000 tokens a minute, a backlog all the time, and a provider that counts by its own clock.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { root } from "../scripts/sql-sources.ts";
import type { BenchContext, Benchmark, Figure } from "./benchmark.ts";
import type { BenchDatabase } from "./server.ts";

const ORCHESTRATORS = 4;
const WINDOW_MS = 60_000;
const LIMITS = { requests: 600, tokens: 60_000 };

type Arrival = [at: number, tokens: number];
/** `tokens` of an average call: below 100 the requests are the tighter limit, above it the tokens. */
type Load = { name: "requests" | "tokens"; promptLength: number; answerTokens: [from: number, to: number] };

const LOADS: Load[] = [
  { name: "requests", promptLength: 120, answerTokens: [5, 25] },
  { name: "tokens", promptLength: 600, answerTokens: [20, 400] },
];

export const limits: Benchmark = {
  name: "limits",
  async run(context): Promise<Figure[]> {
    const figures: Figure[] = [];
    for (const load of LOADS) figures.push(...(await underLoad(context, load)));
    return figures;
  },
};

async function underLoad({ server, quick, progress }: BenchContext, load: Load): Promise<Figure[]> {
  // The first minute fills the window; what is used is measured behind it.
  const seconds = quick ? 100 : 240;
  const database = await server.createDatabase();
  const client = await database.connect();
  const provider = await startChild("./counting-provider.ts");
  await configure(client, provider.port);
  await submitBacklog(client, load, Math.ceil((seconds / 60 + 1.5) * LIMITS.requests));
  progress(`${ORCHESTRATORS} orchestrators for ${seconds} s, ${load.name} being the tighter limit`);
  const orchestrators = Array.from({ length: ORCHESTRATORS }, () => startOrchestrator(database));
  await sleep(seconds * 1000);
  await Promise.all(orchestrators.map(stop));
  const response = await fetch(`http://127.0.0.1:${provider.port}/`);
  const arrivals = (await response.json()) as Arrival[];
  provider.end();
  await database.drop();

  const amount = ([, tokens]: Arrival) => (load.name === "requests" ? 1 : tokens);
  const other = ([, tokens]: Arrival) => (load.name === "requests" ? tokens : 1);
  const otherName = load.name === "requests" ? "tokens" : "requests";
  const limit = LIMITS[load.name];
  return [
    held(`${load.name} in any 60 s at most, ${load.name} being tighter`, most(arrivals, amount), limit),
    held(
      `${otherName} in any 60 s at most, ${load.name} being tighter`,
      most(arrivals, other),
      LIMITS[otherName],
    ),
    {
      name: `${load.name} used per minute, with a backlog`,
      unit: load.name,
      llmq: used(arrivals, amount, seconds),
      peer: { name: "limit", value: limit },
      ratio: used(arrivals, amount, seconds) / limit,
      target: { of: "ratio", atLeast: 0.95 },
    },
  ];
}

function held(name: string, value: number, limit: number): Figure {
  const target = { of: "ratio", atMost: 1 } as const;
  return { name, unit: "", llmq: value, peer: { name: "limit", value: limit }, ratio: value / limit, target };
}

/** The most in any window of a minute that begins with an arrival. */
function most(arrivals: Arrival[], amount: (arrival: Arrival) => number): number {
  let end = 0;
  let sum = 0;
  let highest = 0;
  for (const first of arrivals) {
    while (end < arrivals.length && (arrivals[end] as Arrival)[0] < first[0] + WINDOW_MS) {
      sum += amount(arrivals[end] as Arrival);
      end += 1;
    }
    highest = Math.max(highest, sum);
    sum -= amount(first);
  }
  return highest;
}

/** What the last minute used, looked at every second from the end of the first minute on; the mean. */
function used(arrivals: Arrival[], amount: (arrival: Arrival) => number, seconds: number): number {
  const first = arrivals[0]?.[0] ?? 0;
  const sums: number[] = [];
  for (let at = first + WINDOW_MS; at < first + (seconds - 5) * 1000; at += 1000) {
    const window = arrivals.filter(([arrivedAt]) => arrivedAt > at - WINDOW_MS && arrivedAt <= at);
    sums.push(window.reduce((sum, arrival) => sum + amount(arrival), 0));
  }
  return sums.reduce((sum, value) => sum + value, 0) / sums.length;
}

async function configure(client: pg.Client, port: number): Promise<void> {
  await client.query("select llmq.configure_provider('counting', 'openai-compatible', $1)", [
    `http://127.0.0.1:${port}/v1`,
  ]);
  await client.query(
    "select llmq.configure_model('counting', 'counting', requests_per_minute => $1, tokens_per_minute => $2)",
    [LIMITS.requests, LIMITS.tokens],
  );
  await client.query("select llmq.configure_route('*', array['counting'])");
}

async function submitBacklog(client: pg.Client, load: Load, count: number): Promise<void> {
  const [from, to] = load.answerTokens;
  for (let start = 0; start < count; start += 500) {
    const requests = Array.from({ length: 500 }, (_, index) => {
      const words = from + Math.floor(Math.random() * (to - from));
      const content = `words: ${words} `.padEnd(load.promptLength * (0.5 + Math.random()), "lorem ipsum ");
      return { agent_id: `agent-${index % 10}`, task_type: "summary", messages: [{ role: "user", content }] };
    });
    await client.query("select count(*) from llmq.submit_llm_requests($1)", [JSON.stringify(requests)]);
  }
}

function startOrchestrator(database: BenchDatabase): ChildProcess {
  const env = { ...process.env, DATABASE_URL: database.url, LLMQ_HTTP_PORT: "off", LLMQ_LOG_LEVEL: "error" };
  return spawn(process.execPath, [join(root, "bin/llmq.js"), "start"], {
    env,
    stdio: ["ignore", "ignore", "inherit"],
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) throw new Error(`an orchestrator ended with exit code ${child.exitCode}`);
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

async function startChild(path: string): Promise<{ port: number; end: () => void }> {
  const child = spawn(process.execPath, ["--import", "tsx", fileURLToPath(new URL(path, import.meta.url))], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout, "data");
  return { port: Number(String(line).trim()), end: () => child.stdin.end() };
}
