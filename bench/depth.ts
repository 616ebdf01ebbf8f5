/** A claim of 50 with 1,000,000 of ten or 10,000 agents waiting beside one with nothing behind it, and one that finds nothing. */
import type pg from "pg";
import type { BenchContext, Benchmark, Figure } from "./benchmark.ts";
import { AGENTS } from "./payload.ts";
import { createLlmqSide, fill, type Side } from "./sides.ts";
import { median } from "./statistics.ts";

const SIZE = 50;
const REAL = 10_000;

/**
 * The backlog: what is claimed was submitted as ever, what stands behind it is copied within the tables, with
 * new ids, later ranks and a short prompt, since a million submits would take minutes.
 */
async function fillDeep(side: Side, client: pg.Client, count: number, agents: number): Promise<void> {
  await fill(side, client, REAL);
  await client.query("select llmq.promote_waiting(10000, true)");
  // Each of the ten becomes so many more, in place, so that the rows stay in the order of their ranks.
  await client.query("update llmq.queue set agent_id = agent_id || '-' || tag::int % $1", [
    agents / AGENTS.length,
  ]);
  await client.query(
    "create temporary table copies as select q.id as old_id, q.tag, q.agent_id, row_number() over (order by q.id) as n from llmq.queue as q",
  );
  await client.query(
    `create temporary table copied as
     select llmq.uuid_v7() as id, c.old_id, c.agent_id, c.tag + turn * (select max(tag) from copies) as tag
     from generate_series(1, $1::int) as turn cross join copies as c`.replace("$1", String(count / REAL)),
  );
  await client.query(
    `insert into llmq.requests (id, messages, context, settings)
     select c.id, '[{"role": "user", "content": "Hello"}]', '{}', '{}'
     from copied as c`,
  );
  await client.query(
    `insert into llmq.queue (id, lane, priority, tag, run_at, created_at, max_attempts, agent_id, task_type, complexity)
     select c.id, q.lane, q.priority, c.tag, q.run_at, q.created_at, q.max_attempts, q.agent_id, q.task_type, q.complexity
     from copied as c join llmq.queue as q on q.id = c.old_id`,
  );
  await client.query("vacuum (analyze) llmq.queue, llmq.requests");
}

async function timedClaim(side: Side, client: pg.Client, expected: number): Promise<number> {
  const startedAt = performance.now();
  const taken = await side.take(client, SIZE);
  const milliseconds = performance.now() - startedAt;
  if (taken.length !== expected) throw new Error(`a claim gave ${taken.length} requests`);
  if (expected > 0) await side.finish(client, taken);
  return milliseconds;
}

type Medians = { empty: number; shallow: number; deep: number };

async function measure({ server, progress }: BenchContext, count: number, agents: number): Promise<Medians> {
  const [shallow, deep] = [await server.createDatabase(), await server.createDatabase()];
  const [shallowClient, deepClient] = [await shallow.connect(), await deep.connect()];
  const [shallowSide, deepSide] = [await createLlmqSide(shallowClient), await createLlmqSide(deepClient)];
  progress(`filling a queue with ${count} requests of ${agents} agents`);
  await fillDeep(deepSide, deepClient, count, agents);
  await deepClient.query("checkpoint");
  const times = { empty: [] as number[], shallow: [] as number[], deep: [] as number[] };
  for (let claim = 0; claim < REAL / SIZE; claim++) {
    times.empty.push(await timedClaim(shallowSide, shallowClient, 0));
    await fill(shallowSide, shallowClient, SIZE);
    times.shallow.push(await timedClaim(shallowSide, shallowClient, SIZE));
    times.deep.push(await timedClaim(deepSide, deepClient, SIZE));
  }
  await shallow.drop();
  await deep.drop();
  return { empty: median(times.empty), shallow: median(times.shallow), deep: median(times.deep) };
}

export const claimDepth: Benchmark = {
  name: "depth",
  async run(context): Promise<Figure[]> {
    const count = context.quick ? 100_000 : 1_000_000;
    const figure = (agents: number, { deep, shallow }: Medians): Figure => ({
      name: `claim of ${SIZE} with ${count.toLocaleString("en")} of ${agents.toLocaleString("en")} agents waiting, p50`,
      unit: "ms",
      llmq: deep,
      peer: { name: `llmq with ${SIZE} waiting`, value: shallow },
      ratio: deep / shallow,
      target: { of: "ratio", atMost: 1.5 },
    });
    const few = await measure(context, count, AGENTS.length);
    const many = await measure(context, count, 10_000);
    return [
      figure(AGENTS.length, few),
      figure(10_000, many),
      {
        name: "claim that finds nothing, p50",
        unit: "ms",
        llmq: many.empty,
        peer: null,
        ratio: null,
        target: { of: "llmq", atMost: 2 },
      },
    ];
  },
};
