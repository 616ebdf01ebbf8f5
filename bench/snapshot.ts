/** What a snapshot that is held for a minute at 1,000 requests/s does to the claim, and to pgmq's read. */
import type pg from "pg";
import type { BenchContext, Benchmark, Figure } from "./benchmark.ts";
import { AGENTS } from "./payload.ts";
import { createLlmqSide, pgmqSide, type Side } from "./sides.ts";
import { median } from "./statistics.ts";

const PER_TICK = 50;
const TICK_MS = 50;
const EDGE_SECONDS = 5;

type Held = { first: number; last: number; perSecond: number };

/** Milliseconds of the claims, median of the first and of the last seconds. */
async function underSnapshot(
  { server, quick }: BenchContext,
  sideFor: (worker: pg.Client) => Promise<Side>,
): Promise<Held> {
  const database = await server.createDatabase();
  const [holder, submitter, worker] = (await database.connectAll(3)) as [pg.Client, pg.Client, pg.Client];
  const one = await sideFor(worker);
  const seconds = quick ? 20 : 60;
  await tick(one, submitter, worker);
  await holder.query("begin isolation level repeatable read");
  await holder.query("select count(*) from pg_class");
  const claims: { at: number; ms: number }[] = [];
  const startedAt = performance.now();
  let maintained = startedAt;
  let finished = 0;
  for (let due = startedAt; due < startedAt + seconds * 1000; due += TICK_MS) {
    const late = due - performance.now();
    if (late > 0) await new Promise((resolve) => setTimeout(resolve, late));
    const { ms, count } = await tick(one, submitter, worker);
    claims.push({ at: (performance.now() - startedAt) / 1000, ms });
    finished += count;
    if (performance.now() - maintained > 1000) {
      await one.maintain(worker);
      maintained = performance.now();
    }
  }
  const took = (performance.now() - startedAt) / 1000;
  await holder.query("rollback");
  await database.drop();
  const between = (from: number, to: number) =>
    median(claims.filter(({ at }) => at >= from && at < to).map(({ ms }) => ms));
  return {
    first: between(0, EDGE_SECONDS),
    last: between(took - EDGE_SECONDS, took + 1),
    perSecond: finished / took,
  };
}

async function tick(side: Side, submitter: pg.Client, worker: pg.Client) {
  await side.sendMany(
    submitter,
    Array.from({ length: PER_TICK }, (_, index) => index),
  );
  const startedAt = performance.now();
  const taken = await side.take(worker, PER_TICK);
  const ms = performance.now() - startedAt;
  if (taken.length > 0) await side.finish(worker, taken);
  return { ms, count: taken.length };
}

/** Every kind of limit, none of which is reached: what is measured is keeping them. */
async function limitedSide(client: pg.Client): Promise<Side> {
  await client.query(`
    select llmq.configure_provider('sim', requests_per_minute => 10000000, max_concurrency => 100000);
    select llmq.configure_model('model', requests_per_minute => 10000000, tokens_per_minute => 2000000000, max_concurrency => 100000);
    select llmq.configure_price('model', 1, 2);
  `);
  for (const [index, agent] of AGENTS.entries()) {
    await client.query(
      "select llmq.configure_agent($1, weight => $2, max_concurrency => 10000, daily_budget_usd => 1000000)",
      [agent, index + 1],
    );
  }
  return createLlmqSide(client);
}

export const heldSnapshot: Benchmark = {
  name: "snapshot",
  async run(context): Promise<Figure[]> {
    const seconds = context.quick ? 20 : 60;
    const figure = (name: string, { first, last }: Held, target: Figure["target"]): Figure => ({
      name: `${name} with a snapshot held ${seconds} s, last against first seconds, p50`,
      unit: "ms",
      llmq: last,
      peer: { name: "its own first seconds", value: first },
      ratio: last / first,
      target,
    });
    context.progress(`holding a snapshot over llmq for ${seconds} s`);
    const llmq = await underSnapshot(context, createLlmqSide);
    context.progress(`${Math.round(llmq.perSecond)} requests/s; now with every limit on`);
    const limited = await underSnapshot(context, limitedSide);
    context.progress(`${Math.round(limited.perSecond)} requests/s; now over pgmq`);
    const peer = await underSnapshot(context, async () => pgmqSide);
    context.progress(`${Math.round(peer.perSecond)} requests/s`);
    return [
      figure("claim of 50", llmq, { of: "ratio", atMost: 3 }),
      figure("claim of 50, every limit on,", limited, { of: "ratio", atMost: 1.5 }),
      figure("(pgmq's read of 50)", peer, null),
    ];
  },
};
