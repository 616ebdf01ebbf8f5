/** Who gets how much: weights, a newcomer behind a flood, and a flood over many connections. Counts, and exact. */
import type pg from "pg";
import type { Benchmark, Figure } from "./benchmark.ts";
import type { BenchServer } from "./server.ts";

const STARTS = 2_000;
const BATCH = 50;

export const shares: Benchmark = {
  name: "shares",
  async run({ server, quick, progress }): Promise<Figure[]> {
    progress("ten agents with weights 1 to 10");
    const [least, most] = await weights(server);
    progress("one request behind a flood");
    const behind = await newcomer(server, quick ? 10_000 : 100_000);
    progress("a flood over ten connections");
    const flood = await flooding(server);
    const ideal = { name: "ideal", value: 1 };
    return [
      {
        name: `least share of ten agents with weights 1 to 10, ${STARTS} starts`,
        unit: "",
        llmq: least,
        peer: ideal,
        ratio: least,
        target: { of: "ratio", atLeast: 0.9 },
      },
      {
        name: "largest of them",
        unit: "",
        llmq: most,
        peer: ideal,
        ratio: most,
        target: { of: "ratio", atMost: 1.1 },
      },
      {
        name: `batch of ${BATCH} in which one request of B starts behind ${(quick ? 10_000 : 100_000).toLocaleString("en")} of A`,
        unit: "",
        llmq: behind,
        peer: null,
        ratio: null,
        target: { of: "llmq", atMost: 2 },
      },
      {
        name: "starts of an agent that submits over ten connections, beside one that uses one",
        unit: "",
        llmq: flood,
        peer: ideal,
        ratio: flood,
        target: { of: "ratio", atMost: 1.1 },
      },
    ];
  },
};

const request = (agent: string) => ({
  agent_id: agent,
  task_type: "t",
  messages: [{ role: "user", content: "Hello" }],
});

async function submit(client: pg.Client, agents: string[]): Promise<void> {
  for (let start = 0; start < agents.length; start += 1000) {
    const requests = JSON.stringify(agents.slice(start, start + 1000).map(request));
    await client.query("select count(*) from llmq.submit_llm_requests($1)", [requests]);
  }
}

/** Claims and finishes `count`, in batches, and counts the starts of each agent. */
async function start(client: pg.Client, count: number): Promise<Map<string, number>> {
  const started = new Map<string, number>();
  for (let taken = 0; taken < count; taken += BATCH) {
    const { rows } = await client.query(
      "select id, claim_id, agent_id from llmq.claim_pending_llm_requests($1)",
      [BATCH],
    );
    if (rows.length !== BATCH) throw new Error(`a claim gave ${rows.length} requests`);
    for (const { agent_id: agent } of rows) started.set(agent, (started.get(agent) ?? 0) + 1);
    await client.query("select count(*) from llmq.complete_llm_requests($1)", [
      JSON.stringify(
        rows.map((row) => ({ request_id: row.id, claim_id: row.claim_id, response: "x", calls: [] })),
      ),
    ]);
  }
  return started;
}

async function weights(server: BenchServer): Promise<[number, number]> {
  const database = await server.createDatabase();
  const client = await database.connect();
  const names = Array.from({ length: 10 }, (_, index) => `agent-${index + 1}`);
  for (const [index, name] of names.entries()) {
    await client.query("select llmq.configure_agent($1, weight => $2)", [name, index + 1]);
    await submit(
      client,
      Array.from({ length: 1000 }, () => name),
    );
  }
  const started = await start(client, STARTS);
  await database.drop();
  const ratios = names.map((name, index) => ((started.get(name) ?? 0) / STARTS) * (55 / (index + 1)));
  return [Math.min(...ratios), Math.max(...ratios)];
}

async function newcomer(server: BenchServer, count: number): Promise<number> {
  const database = await server.createDatabase();
  const client = await database.connect();
  await submit(
    client,
    Array.from({ length: count }, () => "A"),
  );
  await start(client, 4 * BATCH);
  await submit(client, ["B"]);
  for (let batch = 1; ; batch += 1) {
    if ((await start(client, BATCH)).has("B")) {
      await database.drop();
      return batch;
    }
  }
}

async function flooding(server: BenchServer): Promise<number> {
  const database = await server.createDatabase();
  const [client, ...others] = (await database.connectAll(11)) as [pg.Client, ...pg.Client[]];
  const one = async (on: pg.Client, agent: string, times: number) => {
    for (let n = 0; n < times; n += 1) await submit(on, [agent]);
  };
  await Promise.all([one(client, "one", 1500), ...others.map((on) => one(on, "many", 150))]);
  const started = await start(client, STARTS);
  await database.drop();
  return (started.get("many") ?? 0) / (started.get("one") ?? 1);
}
