/**
 * Bytes of write-ahead log for a whole request life: submitted one by one, claimed and finished by 50. Each
 * round begins with a checkpoint, after which the first change of every page writes it whole: with 1,000
 * requests that is a tenth of the figure, with 10,000 a hundredth.
 */
import type pg from "pg";
import type { Benchmark, Figure } from "./benchmark.ts";
import { createLlmqSide, drain, pgmqSide, type Side } from "./sides.ts";
import { inTurn } from "./statistics.ts";

async function bytesPerLife(side: Side, client: pg.Client, count: number): Promise<number> {
  await client.query("checkpoint");
  const { rows: before } = await client.query("select pg_current_wal_insert_lsn() as lsn");
  for (let index = 0; index < count; index++) await side.send(client, index);
  await drain(side, [client], count, 50);
  const { rows: after } = await client.query("select pg_current_wal_insert_lsn() - $1::pg_lsn as bytes", [
    before[0].lsn,
  ]);
  return Number(after[0].bytes) / count;
}

export const walPerRequest: Benchmark = {
  name: "wal",
  async run({ server, rounds, quick }): Promise<Figure[]> {
    const database = await server.createDatabase();
    const client = await database.connect();
    // What counts is what the commands write, not the vacuum that may or may not fall into a round.
    await client.query("alter system set autovacuum = off");
    await client.query("select pg_reload_conf()");
    const llmqSide = await createLlmqSide(client);
    const count = quick ? 1000 : 10_000;
    try {
      const { llmq, peer, ratio } = await inTurn(
        // Counts, not times: they repeat to the byte or so.
        Math.min(rounds, 3),
        () => bytesPerLife(llmqSide, client, count),
        () => bytesPerLife(pgmqSide, client, count),
      );
      return [
        {
          name: "WAL of a whole request life",
          unit: "bytes",
          llmq,
          peer: { name: "pgmq send + read + archive", value: peer },
          ratio,
          target: { of: "ratio", below: 1 },
        },
      ];
    } finally {
      await client.query("alter system reset autovacuum");
      await client.query("select pg_reload_conf()");
      await database.drop();
    }
  },
};
