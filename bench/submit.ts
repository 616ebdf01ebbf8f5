/** Submitting beside `pgmq.send` and `pgmq.send_batch` of the same payload. */
import { type Bench, type Figure, inTurn, MESSAGES, rate, ratioFigure } from "./support.ts";

const PAYLOAD = JSON.stringify({ agent_id: "bench", task_type: "chat", messages: JSON.parse(MESSAGES) });

export async function submitOneByOne(bench: Bench): Promise<Figure[]> {
  const clients = await bench.connect(10);
  const forMs = bench.quick ? 1000 : 3000;
  const result = await inTurn(bench.rounds, {
    llmq: async () => {
      await empty(bench);
      return rate(clients, forMs, async (client) => {
        await client.query("select llmq.submit_llm_request('bench', 'chat', $1)", [MESSAGES]);
        return 1;
      });
    },
    pgmq: async () => {
      await empty(bench);
      return rate(clients, forMs, async (client) => {
        await client.query("select pgmq.send('raw', $1)", [PAYLOAD]);
        return 1;
      });
    },
  });
  await empty(bench);
  return [
    ratioFigure("submit one by one, 10 connections, beside pgmq.send", "1/s", result.llmq, result.pgmq, {
      atLeast: 0.7,
    }),
  ];
}

export async function submitInBulk(bench: Bench): Promise<Figure[]> {
  const [client] = await bench.connect(1);
  if (client === undefined) throw new Error("no connection");
  const requests = JSON.stringify(Array.from({ length: 1000 }, () => JSON.parse(PAYLOAD)));
  const payloads = Array.from({ length: 1000 }, () => PAYLOAD);
  const forMs = bench.quick ? 1000 : 3000;
  const result = await inTurn(bench.rounds, {
    llmq: async () => {
      await empty(bench);
      return rate([client], forMs, async () => {
        await client.query("select llmq.submit_llm_requests($1)", [requests]);
        return 1000;
      });
    },
    pgmq: async () => {
      await empty(bench);
      return rate([client], forMs, async () => {
        await client.query("select pgmq.send_batch('raw', $1::jsonb[])", [payloads]);
        return 1000;
      });
    },
  });
  await empty(bench);
  return [
    ratioFigure("submit in bulk of 1,000, beside pgmq.send_batch", "1/s", result.llmq, result.pgmq, {
      atLeast: 0.4,
    }),
  ];
}

export async function empty(bench: Bench): Promise<void> {
  await bench.query(
    "truncate llmq.queue, llmq.requests, llmq.results, llmq.attempts, pgmq.q_raw, pgmq.a_raw, pgmq.q_llm_requests, pgmq.a_llm_requests",
  );
  await bench.query("checkpoint");
}
