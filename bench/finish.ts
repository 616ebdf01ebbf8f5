/** Claim and finish, with the answer and the ledger row stored, beside pgmq's read and archive; and the WAL of a whole life. */
import type pg from "pg";
import { empty } from "./submit.ts";
import { ANSWER, type Bench, type Figure, inTurn, MESSAGES, ratioFigure } from "./support.ts";

const PAYLOAD = JSON.stringify({ agent_id: "bench", task_type: "chat", messages: JSON.parse(MESSAGES) });

export async function claimAndFinish(bench: Bench): Promise<Figure[]> {
  const clients = await bench.connect(2);
  const figures: Figure[] = [];
  for (const batch of [50, 200]) {
    const total = bench.quick ? 4_000 : 20_000;
    const worker = await registerWorker(bench);
    const result = await inTurn(bench.rounds, {
      llmq: async () => {
        await empty(bench);
        await fillLlmq(bench, total);
        return rateUntilEmpty(clients, (client) => claimFinish(client, worker, batch));
      },
      pgmq: async () => {
        await empty(bench);
        await fillPgmq(bench, total);
        return rateUntilEmpty(clients, (client) => readArchive(client, batch));
      },
    });
    figures.push(
      ratioFigure(
        `claim + finish, 2 connections, batches of ${batch}, beside pgmq read + archive`,
        "1/s",
        result.llmq,
        result.pgmq,
        {
          atLeast: 0.5,
        },
      ),
    );
  }
  await empty(bench);
  return figures;
}

export async function walPerRequest(bench: Bench): Promise<Figure[]> {
  const [client] = await bench.connect(1);
  if (client === undefined) throw new Error("no connection");
  const total = 5_000;
  const worker = await registerWorker(bench);
  const measure = async (life: () => Promise<void>) => {
    await empty(bench);
    // The first change of a page after a checkpoint writes the page whole; both begin with empty tables.
    const { rows: before } = await bench.query("select pg_current_wal_insert_lsn() as lsn");
    await life();
    const { rows } = await bench.query(
      "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1)::float8 as bytes",
      [before[0].lsn],
    );
    return rows[0].bytes / total;
  };
  const result = await inTurn(Math.min(bench.rounds, 3), {
    llmq: () =>
      measure(async () => {
        await fillLlmq(bench, total);
        while ((await claimFinish(client, worker, 100)) > 0);
      }),
    pgmq: () =>
      measure(async () => {
        await fillPgmq(bench, total);
        while ((await readArchive(client, 100)) > 0);
      }),
  });
  await empty(bench);
  return [
    ratioFigure(
      "WAL of a request's life, beside pgmq send + read + archive",
      "bytes",
      result.llmq,
      result.pgmq,
      { atMost: 1 },
    ),
  ];
}

export async function registerWorker(bench: Bench): Promise<string> {
  const { rows } = await bench.query("select llmq.register_worker('bench', '1 hour') as id");
  return rows[0].id;
}

export async function fillLlmq(bench: Bench, total: number): Promise<void> {
  const requests = JSON.stringify(Array.from({ length: 1000 }, () => JSON.parse(PAYLOAD)));
  for (let done = 0; done < total; done += 1000)
    await bench.query("select llmq.submit_llm_requests($1)", [requests]);
}

export async function fillPgmq(bench: Bench, total: number): Promise<void> {
  const payloads = Array.from({ length: 1000 }, () => PAYLOAD);
  for (let done = 0; done < total; done += 1000)
    await bench.query("select pgmq.send_batch('raw', $1::jsonb[])", [payloads]);
}

/** One turn of an orchestrator's database work; how many requests it took through. */
export async function claimFinish(client: pg.Client, worker: string, batch: number): Promise<number> {
  const { rows } = await client.query("select * from llmq.claim_pending_llm_requests($1, $2)", [
    batch,
    worker,
  ]);
  if (rows.length === 0) return 0;
  const answers = rows.map((row) => ({
    request_id: row.id,
    claim_id: row.claim_id,
    response: ANSWER,
    finish_reason: "stop",
    calls: [
      {
        outcome: "answered",
        started_at: row.started_at,
        finished_at: row.started_at,
        latency_ms: 900,
        first_byte_ms: 300,
        status_code: 200,
        provider_request_id: "req_0123456789",
        finish_reason: "stop",
        input_tokens: 300,
        output_tokens: 75,
        cached_input_tokens: 0,
        reasoning_tokens: 0,
      },
    ],
  }));
  await client.query("select * from llmq.complete_llm_requests($1)", [JSON.stringify(answers)]);
  return rows.length;
}

export async function readArchive(client: pg.Client, batch: number): Promise<number> {
  const { rows } = await client.query("select msg_id, message from pgmq.read('raw', 60, $1)", [batch]);
  if (rows.length === 0) return 0;
  await client.query("select pgmq.archive('raw', $1::bigint[])", [rows.map((row) => row.msg_id)]);
  return rows.length;
}

async function rateUntilEmpty(
  clients: pg.Client[],
  turn: (client: pg.Client) => Promise<number>,
): Promise<number> {
  let total = 0;
  const startedAt = performance.now();
  await Promise.all(
    clients.map(async (client) => {
      for (let count = await turn(client); count > 0; count = await turn(client)) total += count;
    }),
  );
  return (total / (performance.now() - startedAt)) * 1000;
}
