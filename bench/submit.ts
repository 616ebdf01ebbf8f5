/** Submit one by one over ten connections, and in bulk, beside pgmq.send and pgmq.send_batch. */
import type pg from "pg";
import type { Benchmark, Figure } from "./benchmark.ts";
import { createLlmqSide, pgmqSide, type Side } from "./sides.ts";
import { inTurn, secondsOf } from "./statistics.ts";

const CONNECTIONS = 10;
const BULK = 1000;

async function oneByOne(side: Side, clients: pg.Client[], count: number): Promise<number> {
  let next = 0;
  const seconds = await secondsOf(() =>
    Promise.all(
      clients.map(async (client) => {
        while (next < count) await side.send(client, next++);
      }),
    ),
  );
  return count / seconds;
}

async function inBulk(side: Side, client: pg.Client, calls: number): Promise<number> {
  const indexes = Array.from({ length: BULK }, (_, index) => index);
  const seconds = await secondsOf(async () => {
    for (let call = 0; call < calls; call++) await side.sendMany(client, indexes);
  });
  return (calls * BULK) / seconds;
}

export const submitOneByOne: Benchmark = {
  name: "submit",
  async run({ server, rounds, quick }): Promise<Figure[]> {
    const database = await server.createDatabase();
    const clients = await database.connectAll(CONNECTIONS);
    const llmqSide = await createLlmqSide(clients[0] as pg.Client);
    const count = quick ? 1000 : 5000;
    const { llmq, peer, ratio } = await inTurn(
      rounds,
      () => oneByOne(llmqSide, clients, count),
      () => oneByOne(pgmqSide, clients, count),
    );
    await database.drop();
    return [
      {
        name: "submit one by one, 10 connections",
        unit: "requests/s",
        llmq,
        peer: { name: "pgmq.send", value: peer },
        ratio,
        target: { of: "ratio", atLeast: 0.7 },
      },
    ];
  },
};

export const submitInBulk: Benchmark = {
  name: "bulk",
  async run({ server, rounds, quick }): Promise<Figure[]> {
    const database = await server.createDatabase();
    const client = await database.connect();
    const llmqSide = await createLlmqSide(client);
    const calls = quick ? 2 : 5;
    const { llmq, peer, ratio } = await inTurn(
      rounds,
      () => inBulk(llmqSide, client, calls),
      () => inBulk(pgmqSide, client, calls),
    );
    await database.drop();
    return [
      {
        name: "submit in bulk of 1,000",
        unit: "requests/s",
        llmq,
        peer: { name: "pgmq.send_batch", value: peer },
        ratio,
        target: { of: "ratio", atLeast: 0.4 },
      },
    ];
  },
};
