/**
 * llmq beside the job queues of Postgres that people use from Node, each through its own client, tuned as its
 * documentation says: ten connections to submit, and as many at once to work as suits it.
 *
 * They do less: neither prompts apart from the queue, nor a ledger, fair shares, limits, or a copy to pgmq. The work
 * itself is nothing on all sides; what is measured is the queue.
 */
import { Logger, makeWorkerUtils, run, type WorkerUtils } from "graphile-worker";
import pg from "pg";
import { PgBoss } from "pg-boss";
import type { Benchmark, Figure } from "./benchmark.ts";
import { answerText, payload } from "./payload.ts";
import type { BenchDatabase } from "./server.ts";
import { createLlmqSide, drain } from "./sides.ts";
import { median, secondsOf } from "./statistics.ts";

const CONNECTIONS = 10;
const BULK = 1000;
const BATCH = 200;

type Peer = {
  name: string;
  send(index: number): Promise<unknown>;
  sendMany(indexes: number[]): Promise<unknown>;
  /** Takes and finishes everything that waits. */
  work(count: number): Promise<unknown>;
  close(): Promise<unknown>;
};

async function llmq(database: BenchDatabase): Promise<Peer> {
  const clients = await database.connectAll(CONNECTIONS);
  const [first, second] = clients as [pg.Client, pg.Client];
  const side = await createLlmqSide(first);
  return {
    name: "llmq",
    send: (index) => side.send(clients[index % CONNECTIONS] as pg.Client, index),
    sendMany: (indexes) => side.sendMany(first, indexes),
    work: (count) => drain(side, [first, second], count, BATCH),
    close: async () => undefined,
  };
}

async function pgBoss(database: BenchDatabase): Promise<Peer> {
  const boss = new PgBoss({ connectionString: database.url, max: CONNECTIONS, schedule: false });
  await boss.start();
  await boss.createQueue("requests");
  const take = async (): Promise<void> => {
    for (;;) {
      const jobs = await boss.fetch("requests", { batchSize: BATCH });
      if (jobs.length === 0) return;
      await boss.complete(
        "requests",
        jobs.map((job) => job.id),
        { answer: answerText },
      );
    }
  };
  return {
    name: "pg-boss",
    send: (index) => boss.send("requests", payload(index)),
    sendMany: (indexes) =>
      boss.insert(
        "requests",
        indexes.map((index) => ({ data: payload(index) })),
      ),
    work: () => Promise.all([take(), take()]),
    close: () => boss.stop({ graceful: false }),
  };
}

async function graphileWorker(database: BenchDatabase): Promise<Peer> {
  const pool = new pg.Pool({ connectionString: database.url, max: CONNECTIONS });
  const logger = new Logger(() => () => undefined);
  const utils: WorkerUtils = await makeWorkerUtils({ pgPool: pool, logger });
  await utils.migrate();
  return {
    name: "graphile-worker",
    send: (index) => utils.addJob("request", payload(index)),
    sendMany: (indexes) =>
      utils.addJobs(indexes.map((index) => ({ identifier: "request", payload: payload(index) }))),
    async work(count) {
      let done = 0;
      const { promise, resolve } = Promise.withResolvers<void>();
      const runner = await run({
        pgPool: pool,
        logger,
        noHandleSignals: true,
        taskList: {
          request: async () => {
            done += 1;
            if (done === count) resolve();
          },
        },
        preset: { worker: { concurrentJobs: 24, localQueue: { size: BATCH }, completeJobBatchDelay: 0 } },
      });
      await promise;
      await runner.stop();
    },
    close: async () => {
      await utils.release();
      await pool.end();
    },
  };
}

/** Requests per second: one by one over ten connections, in bulk, and taken and finished. */
async function rates(peer: Peer, count: number): Promise<[number, number, number]> {
  let next = 0;
  const caller = async () => {
    while (next < count) await peer.send(next++);
  };
  const one = await secondsOf(() => Promise.all(Array.from({ length: CONNECTIONS }, caller)));
  const indexes = Array.from({ length: BULK }, (_, index) => index);
  const bulk = await secondsOf(async () => {
    for (let sent = 0; sent < count; sent += BULK) await peer.sendMany(indexes);
  });
  const work = await secondsOf(() => peer.work(2 * count));
  return [count / one, count / bulk, (2 * count) / work];
}

const WHAT = [
  `submit one by one, ${CONNECTIONS} connections`,
  `submit in bulk of ${BULK.toLocaleString("en")}`,
  "take and finish, with a stored result where there is one",
];

export const peers: Benchmark = {
  name: "peers",
  async run({ server, rounds, quick, progress }): Promise<Figure[]> {
    const count = quick ? 2_000 : 10_000;
    const database = await server.createDatabase();
    const all = [await llmq(database), await pgBoss(database), await graphileWorker(database)];
    const measured = all.map(() => [[], [], []] as [number[], number[], number[]]);
    // The first round warms up. In turn, so that what else goes on with the machine meets all of them.
    for (let round = 0; round <= Math.min(rounds, 3); round += 1) {
      for (const [index, peer] of all.entries()) {
        progress(`${peer.name}, round ${round}`);
        const found = await rates(peer, count);
        if (round > 0) found.forEach((rate, what) => measured[index]?.[what]?.push(rate));
      }
    }
    for (const peer of all) await peer.close();
    await database.drop();
    const rate = (peer: number, what: number) => median(measured[peer]?.[what] ?? []);
    return WHAT.flatMap((name, what) =>
      all.slice(1).map(({ name: peer }, index) => {
        const [ours, theirs] = [rate(0, what), rate(index + 1, what)];
        return {
          name,
          unit: "requests/s",
          llmq: ours,
          peer: { name: peer, value: theirs },
          ratio: ours / theirs,
          target: null,
        };
      }),
    );
  },
};
