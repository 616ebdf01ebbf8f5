/**
 * Whether limits hold, and whether they are used: four orchestrators as processes of their own, one model, a backlog
 * all the time, and a provider that counts by its own clock. Once for each kind of limit that is the tightest.
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

type Arrival = [at: number, input: number, output: number];

/** What is limited, by the argument of llmq.configure_model, and how much of it an arrival takes. */
const METERS = {
  requests: { argument: "requests_per_minute", of: () => 1 },
  tokens: { argument: "tokens_per_minute", of: ([, input, output]: Arrival) => input + output },
  "input tokens": { argument: "input_tokens_per_minute", of: ([, input]: Arrival) => input },
  "output tokens": { argument: "output_tokens_per_minute", of: ([, , output]: Arrival) => output },
} as const;
type Meter = keyof typeof METERS;

type Load = {
  limits: Partial<Record<Meter, number>>;
  /** The limit that the calls below reach first. */
  tightest: Meter;
  promptLength: number;
  answerTokens: [from: number, to: number];
};

const LOADS: Load[] = [
  {
    limits: { requests: 600, tokens: 60_000 },
    tightest: "requests",
    promptLength: 120,
    answerTokens: [5, 25],
  },
  {
    limits: { requests: 600, tokens: 60_000 },
    tightest: "tokens",
    promptLength: 600,
    answerTokens: [20, 400],
  },
  {
    limits: { requests: 600, "input tokens": 60_000, "output tokens": 40_000 },
    tightest: "output tokens",
    promptLength: 600,
    answerTokens: [20, 400],
  },
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
  const seconds = quick ? 100 : 180;
  const database = await server.createDatabase();
  const client = await database.connect();
  const provider = await startChild("./counting-provider.ts");
  await configure(client, load, provider.port);
  await submitBacklog(client, load, Math.ceil((seconds / 60 + 1.5) * (load.limits.requests ?? 0)));
  progress(`${ORCHESTRATORS} orchestrators for ${seconds} s, ${load.tightest} being the tightest limit`);
  const orchestrators = Array.from({ length: ORCHESTRATORS }, () => startOrchestrator(database));
  await sleep(seconds * 1000);
  await Promise.all(orchestrators.map(stop));
  const response = await fetch(`http://127.0.0.1:${provider.port}/`);
  const arrivals = (await response.json()) as Arrival[];
  provider.end();
  await database.drop();

  const entries = Object.entries(load.limits) as [Meter, number][];
  const figures = entries.map(([meter, limit]) =>
    figure(`${meter} in any 60 s at most, ${load.tightest} being tightest`, most(arrivals, meter), limit, {
      of: "ratio",
      atMost: 1,
    }),
  );
  const name = `${load.tightest} used per minute, with a backlog`;
  const limit = load.limits[load.tightest] ?? 0;
  const target = { of: "ratio", atLeast: 0.95 } as const;
  return [...figures, figure(name, used(arrivals, load.tightest, seconds), limit, target)];
}

function figure(name: string, value: number, limit: number, target: Figure["target"]): Figure {
  return { name, unit: "", llmq: value, peer: { name: "limit", value: limit }, ratio: value / limit, target };
}

/** The most in any window of a minute that begins with an arrival. */
function most(arrivals: Arrival[], meter: Meter): number {
  const amount = METERS[meter].of;
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
function used(arrivals: Arrival[], meter: Meter, seconds: number): number {
  const first = arrivals[0]?.[0] ?? 0;
  const sums: number[] = [];
  for (let at = first + WINDOW_MS; at < first + (seconds - 5) * 1000; at += 1000) {
    const window = arrivals.filter(([arrivedAt]) => arrivedAt > at - WINDOW_MS && arrivedAt <= at);
    sums.push(window.reduce((sum, arrival) => sum + METERS[meter].of(arrival), 0));
  }
  return sums.reduce((sum, value) => sum + value, 0) / sums.length;
}

async function configure(client: pg.Client, { limits: values }: Load, port: number): Promise<void> {
  await client.query("select llmq.configure_provider('counting', 'openai-compatible', $1)", [
    `http://127.0.0.1:${port}/v1`,
  ]);
  const limited = Object.entries(values).map(
    ([meter, limit]) => `${METERS[meter as Meter].argument} => ${limit}`,
  );
  await client.query(`select llmq.configure_model('counting', 'counting', ${limited.join(", ")})`);
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
