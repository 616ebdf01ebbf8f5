/** Claim and finish with stored answer and ledger row, beside pgmq's read and archive, which store neither. */
import type pg from "pg";
import type { BenchContext, Benchmark, Figure } from "./benchmark.ts";
import { createLlmqSide, drain, fill, pgmqSide, type Side } from "./sides.ts";
import { inTurn, secondsOf } from "./statistics.ts";

const CONNECTIONS = 2;

async function measure({ server, rounds, quick }: BenchContext, size: number): Promise<Figure> {
  const database = await server.createDatabase();
  const clients = await database.connectAll(CONNECTIONS);
  const first = clients[0] as pg.Client;
  const llmqSide = await createLlmqSide(first);
  const count = quick ? 2000 : 8000;
  const side = async (one: Side) => {
    await fill(one, first, count);
    return count / (await secondsOf(() => drain(one, clients, count, size)));
  };
  const { llmq, peer, ratio } = await inTurn(
    rounds,
    () => side(llmqSide),
    () => side(pgmqSide),
  );
  await database.drop();
  return {
    name: `claim and finish, batches of ${size}, ${CONNECTIONS} connections`,
    unit: "requests/s",
    llmq,
    peer: { name: "pgmq read + archive", value: peer },
    ratio,
    target: { of: "ratio", atLeast: 0.5 },
  };
}

export const claimAndFinish: Benchmark = {
  name: "finish",
  run: async (context) => [await measure(context, 50), await measure(context, 200)],
};
