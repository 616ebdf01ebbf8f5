/** What every benchmark shares: a server of its own, rounds in turn, medians, and the table. */
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { startEmbeddedPostgres } from "../src/database/embedded.ts";
import { migrate } from "../src/database/migrate.ts";

export type Figure = {
  name: string;
  unit: string;
  llmq: number;
  /** The peer's figure of the same run; null where there is no peer. */
  peer: number | null;
  /** llmq / peer, or whatever the target is about. */
  ratio: number | null;
  target: string;
  ok: boolean;
};

export type Bench = {
  url: string;
  version: string;
  /** Shorter rounds, for a look. */
  quick: boolean;
  rounds: number;
  /** `count` open connections, closed at the end. */
  connect(count: number): Promise<pg.Client[]>;
  query(text: string, values?: unknown[]): Promise<pg.QueryResult>;
};

/** fsync on, as in production: WAL and commits are what a queue in Postgres costs. */
export async function withBench<T>(
  options: { quick: boolean; rounds: number },
  run: (bench: Bench) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "llmq-bench-"));
  const log = pino({ level: "fatal" });
  const server = await startEmbeddedPostgres({ dataDir: directory, log });
  const open: pg.Client[] = [];
  const connect = async (count: number) => {
    const clients = Array.from({ length: count }, () => new pg.Client({ connectionString: server.url }));
    await Promise.all(clients.map((client) => client.connect()));
    open.push(...clients);
    return clients;
  };
  try {
    await migrate({ connectionString: server.url, log });
    const [control] = await connect(1);
    if (control === undefined) throw new Error("no connection");
    await control.query(`
      select llmq.configure_provider('sim', 'sim'), llmq.configure_model('sim', 'sim');
      select llmq.configure_route('*', array['sim']);
      select pgmq.create('raw');
    `);
    return await run({
      url: server.url,
      version: server.pgVersion,
      ...options,
      connect,
      query: (text, values) => control.query(text, values),
    });
  } finally {
    await Promise.all(open.map((client) => client.end()));
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** A request of about 1.2 KB and an answer of about 300 bytes. */
export const MESSAGES = JSON.stringify([
  { role: "system", content: "You are a careful assistant that answers in one short paragraph." },
  { role: "user", content: "the quick brown fox jumps over the lazy dog ".repeat(24) },
]);
export const ANSWER = "An answer of about three hundred bytes, as a model gives it to a short question. "
  .repeat(4)
  .slice(0, 300);

/** Runs each candidate once per round, in turn, and gives each one's median. */
export async function inTurn<K extends string>(
  rounds: number,
  candidates: Record<K, () => Promise<number>>,
): Promise<Record<K, number>> {
  const names = Object.keys(candidates) as K[];
  const seen = new Map<K, number[]>(names.map((name) => [name, []]));
  for (const name of names) await candidates[name]();
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) seen.get(name)?.push(await candidates[name]());
  }
  return Object.fromEntries(names.map((name) => [name, median(seen.get(name) ?? [])])) as Record<K, number>;
}

export function median(values: number[]): number {
  return percentile(values, 50);
}

export function percentile(values: number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN;
}

/** How often per second `work` can be done by all workers together in about `forMs`. */
export async function rate<W>(
  workers: W[],
  forMs: number,
  work: (worker: W) => Promise<number>,
): Promise<number> {
  const startedAt = performance.now();
  const counts = await Promise.all(
    workers.map(async (worker) => {
      let count = 0;
      while (performance.now() - startedAt < forMs) count += await work(worker);
      return count;
    }),
  );
  const total = counts.reduce((sum, count) => sum + count, 0);
  return (total / (performance.now() - startedAt)) * 1000;
}

export function ratioFigure(
  name: string,
  unit: string,
  llmq: number,
  peer: number,
  target: { atLeast: number } | { atMost: number },
): Figure {
  const ratio = llmq / peer;
  const ok = "atLeast" in target ? ratio >= target.atLeast : ratio <= target.atMost;
  const words = "atLeast" in target ? `>= ${target.atLeast} x` : `<= ${target.atMost} x`;
  return { name, unit, llmq, peer, ratio, target: words, ok };
}

export function machine(): string {
  const [first] = cpus();
  return `${cpus().length} cores ${first?.model ?? ""}, Node ${process.version}`;
}
