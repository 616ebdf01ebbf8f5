/**
 * What a claim costs beside others' trouble: a million requests waiting for a model that cools down, a million of ten
 * thousand agents that are over their limits, two hundred models with work.
 */
import type pg from "pg";
import type { Benchmark, Figure } from "./benchmark.ts";
import { startLatencies } from "./path.ts";
import type { BenchDatabase, BenchServer } from "./server.ts";
import { createLlmqSide, fill, type Side } from "./sides.ts";
import { median } from "./statistics.ts";

const READY = 5;
const BATCH = 50;
const CLAIMS = 200;
const AGENTS = 10_000;
const HELD_BY_CLAIMS = 1_000;
const LANES = 200;

/** Brings the trouble into a database. */
type Neighbours = {
  name: string;
  target: Figure["target"];
  prepare(client: pg.Client, count: number): Promise<void>;
};

const atMost = { of: "ratio", atMost: 1.4 } as const;
const NEIGHBOURS: Neighbours[] = [
  { name: "waiting for a cooling model", target: atMost, prepare: fillCoolingModel },
  {
    name: `of ${AGENTS.toLocaleString("en")} agents over their limit`,
    target: atMost,
    prepare: fillHeldAgents,
  },
];

/** Queue rows alone: nobody claims these, and the claim of the others reads nothing else of them. */
const BACKLOG = `
  insert into llmq.queue (id, lane, priority, tag, hold, run_at, created_at, max_attempts, agent_id, task_type, complexity)
  select llmq.uuid_v7(), (select m.lane from llmq.models as m where m.name = $1), 0,
    case when $3::text is null then n end, $3, now(), now(), 8, 'over-' || n % $4, 'summary', 'medium'
  from generate_series(1, $2::int) as n`;

async function fillCoolingModel(client: pg.Client, count: number): Promise<void> {
  await client.query("select llmq.configure_model('cooling', 'sim')");
  await client.query(BACKLOG, ["cooling", count, null, 10]);
  await client.query(
    `insert into llmq.model_state (lane, cooling_until, reason, error_class, admit)
     select lane, now() + interval '1 day', 'benchmark', 'capacity', 1 from llmq.models where name = 'cooling'`,
  );
}

/**
 * As claims leave it: each agent has its one call in flight, and everything else is held. Most of it is written as it
 * would be then; of the first agents, real claims hold what was submitted.
 */
async function fillHeldAgents(client: pg.Client, count: number): Promise<void> {
  await client.query(
    "insert into llmq.agents (agent_id, max_concurrency) select 'over-' || n, 1 from generate_series(0, $1 - 1) as n",
    [AGENTS],
  );
  await client.query(
    `insert into llmq.in_flight (id, worker_id, claim_id, started_at, run_at, created_at, lane, calls, capacity_waits, priority, max_attempts, attempts, reasks, crashes, route_step, pinned, has_reply_to, agent_id, task_type, complexity)
     select llmq.uuid_v7(), w.id, nextval('llmq.claim_ids'), now(), now(), now(), m.lane, 0, 0, 0, 8, 0, 0, 0, 1, false, false, 'over-' || n, 'summary', 'medium'
     from generate_series(0, $1 - 1) as n, llmq.models as m, llmq.workers as w where m.name = 'model'`,
    [AGENTS],
  );
  await client.query(BACKLOG, ["model", count - HELD_BY_CLAIMS, "agent_concurrency", AGENTS]);
  await client.query(
    `select count(*) from llmq.submit_llm_requests((
       select jsonb_agg(jsonb_build_object('agent_id', 'over-' || n % 10, 'task_type', 't', 'messages', '[{"role": "user", "content": "Hello"}]'::jsonb))
       from generate_series(1, $1::int) as n))`,
    [HELD_BY_CLAIMS],
  );
  const { rows: started } = await client.query("select id from llmq.claim_pending_llm_requests($1)", [BATCH]);
  const { rows: held } = await client.query(
    "select count(*) from llmq.queue where hold = 'agent_concurrency'",
  );
  if (started.length > 0 || Number(held[0].count) !== count) {
    throw new Error(`${started.length} started, ${held[0].count} held`);
  }
}

async function timedClaim(side: Side, client: pg.Client, ready: number): Promise<number> {
  await fill(side, client, ready);
  const startedAt = performance.now();
  const taken = await side.take(client, BATCH);
  const milliseconds = performance.now() - startedAt;
  if (taken.length !== ready) throw new Error(`a claim gave ${taken.length} requests instead of ${ready}`);
  await side.finish(client, taken);
  return milliseconds;
}

/** Medians of claims of the same rows with and without neighbours, in turn. */
async function claims(
  alone: BenchDatabase,
  beside: BenchDatabase,
  prepare: (client: pg.Client) => Promise<void>,
) {
  const [aloneClient, besideClient] = [await alone.connect(), await beside.connect()];
  const [aloneSide, besideSide] = [await createLlmqSide(aloneClient), await createLlmqSide(besideClient)];
  await prepare(besideClient);
  await besideClient.query("vacuum (analyze) llmq.queue, llmq.in_flight");
  await besideClient.query("checkpoint");
  const times = { alone: [] as number[], beside: [] as number[] };
  for (let n = 0; n < CLAIMS; n += 1) {
    times.alone.push(await timedClaim(aloneSide, aloneClient, READY));
    times.beside.push(await timedClaim(besideSide, besideClient, READY));
  }
  return { alone: median(times.alone), beside: median(times.beside) };
}

function figure(name: string, beside: number, alone: number, target: Figure["target"]): Figure {
  return {
    name,
    unit: "ms",
    llmq: beside,
    peer: { name: "without them", value: alone },
    ratio: beside / alone,
    target,
  };
}

/** The first claim, as 200 requests wait, spread over so many models. */
async function firstClaim(client: pg.Client, lanes: number): Promise<number> {
  const side = await createLlmqSide(client);
  await client.query(
    "select count(llmq.configure_model('lane-' || n, 'sim')) from generate_series(1, $1::int) as n",
    [lanes],
  );
  const times: number[] = [];
  for (let n = 0; n < CLAIMS / 4; n += 1) {
    await client.query(
      `select count(*) from llmq.submit_llm_requests((
         select jsonb_agg(jsonb_build_object('agent_id', 'a', 'task_type', 't', 'model', 'lane-' || 1 + n % $2, 'messages', '[{"role": "user", "content": "Hello"}]'::jsonb))
         from generate_series(1, $1::int) as n))`,
      [LANES, lanes],
    );
    await client.query("select llmq.promote_waiting(1000, true)");
    for (let left = LANES; left > 0; left -= BATCH) {
      const startedAt = performance.now();
      const taken = await side.take(client, BATCH);
      if (left === LANES) times.push(performance.now() - startedAt);
      if (taken.length !== BATCH)
        throw new Error(`a claim gave ${taken.length} requests instead of ${BATCH}`);
      await side.finish(client, taken);
    }
  }
  return median(times);
}

async function manyLanes(server: BenchServer): Promise<Figure> {
  const [one, many] = [await server.createDatabase(), await server.createDatabase()];
  const beside = await firstClaim(await one.connect(), 1);
  const llmq = await firstClaim(await many.connect(), LANES);
  await one.drop();
  await many.drop();
  return {
    name: `claim of ${BATCH} with ${LANES} models that have work, p50`,
    unit: "ms",
    llmq,
    peer: { name: "one model", value: beside },
    ratio: llmq / beside,
    target: { of: "llmq", atMost: 15 },
  };
}

export const neighbours: Benchmark = {
  name: "neighbours",
  async run({ server, quick, progress }): Promise<Figure[]> {
    const count = quick ? 100_000 : 1_000_000;
    const seconds = quick ? 5 : 20;
    const figures: Figure[] = [];
    for (const { name, target, prepare } of NEIGHBOURS) {
      const [alone, beside] = [await server.createDatabase(), await server.createDatabase()];
      progress(`${count} requests ${name}`);
      const claimed = await claims(alone, beside, (client) => prepare(client, count));
      const what = `${count.toLocaleString("en")} requests ${name}`;
      figures.push(figure(`claim of ${READY} beside ${what}, p50`, claimed.beside, claimed.alone, target));
      progress("start of calls, without them and beside them");
      const [startAlone, startBeside] = [
        median(await startLatencies(alone, true, seconds)),
        median(await startLatencies(beside, true, seconds)),
      ];
      figures.push(
        figure(`submit to start of the call beside ${what}, p50`, startBeside, startAlone, target),
      );
      await alone.drop();
      await beside.drop();
    }
    progress(`${LANES} models with work`);
    return [...figures, await manyLanes(server)];
  },
};
