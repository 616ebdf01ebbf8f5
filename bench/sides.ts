/** What llmq and its peer, raw pgmq, do in the benchmarks: the same work through the same driver. */
import type pg from "pg";
import { outcome, payload } from "./payload.ts";

export type Side = {
  send(client: pg.Client, index: number): Promise<void>;
  sendMany(client: pg.Client, indexes: number[]): Promise<void>;
  /** Takes up to `size` and answers what `finish` needs. */
  take(client: pg.Client, size: number): Promise<Taken[]>;
  finish(client: pg.Client, taken: Taken[]): Promise<void>;
  /** What runs every second beside the workers. */
  maintain(client: pg.Client): Promise<void>;
};

export type Taken = { id: string; claim: string };

/** Prepared once per connection on both sides, as an application's driver does it. */
function run(client: pg.Client, name: string, text: string, values: unknown[]) {
  return client.query<Record<string, string>>({ name, text, values });
}

export async function createLlmqSide(client: pg.Client): Promise<Side> {
  const { rows } = await client.query("select llmq.register_worker('bench', interval '1 day') as id");
  const workerId: string = rows[0].id;
  return {
    async send(on, index) {
      const { agent_id, task_type, messages } = payload(index);
      const text = "select llmq.submit_llm_request(agent_id => $1, task_type => $2, messages => $3)";
      await run(on, "submit", text, [agent_id, task_type, JSON.stringify(messages)]);
    },
    async sendMany(on, indexes) {
      const requests = JSON.stringify(indexes.map(payload));
      await run(on, "submit_many", "select llmq.submit_llm_requests($1)", [requests]);
    },
    async take(on, size) {
      const text = "select * from llmq.claim_pending_llm_requests($1, $2)";
      const { rows: claimed } = await run(on, "claim", text, [size, workerId]);
      return claimed.map((row) => ({ id: row.id as string, claim: row.claim_id as string }));
    },
    async finish(on, taken) {
      const answers = JSON.stringify(taken.map((one) => outcome(one.id, one.claim)));
      await run(on, "complete", "select * from llmq.complete_llm_requests($1)", [answers]);
    },
    async maintain(on) {
      await on.query("select llmq.maintain()");
    },
  };
}

/** Sends one by one or as a batch, reads as a batch, and archives as a batch, without an answer or a ledger. */
export const pgmqSide: Side = {
  async send(on, index) {
    await run(on, "send", "select pgmq.send('peer', $1::jsonb)", [JSON.stringify(payload(index))]);
  },
  async sendMany(on, indexes) {
    const messages = indexes.map((index) => JSON.stringify(payload(index)));
    await run(on, "send_many", "select pgmq.send_batch('peer', $1::jsonb[])", [messages]);
  },
  async take(on, size) {
    const { rows } = await run(on, "read", "select * from pgmq.read('peer', 3600, $1)", [size]);
    return rows.map((row) => ({ id: row.msg_id as string, claim: "" }));
  },
  async finish(on, taken) {
    const ids = taken.map((one) => one.id);
    await run(on, "archive", "select pgmq.archive('peer', $1::bigint[])", [ids]);
  },
  async maintain() {},
};

/** Sends `count` requests in bulk. */
export async function fill(side: Side, client: pg.Client, count: number): Promise<void> {
  for (let start = 0; start < count; start += 1000) {
    const indexes = Array.from({ length: Math.min(1000, count - start) }, (_, index) => start + index);
    await side.sendMany(client, indexes);
  }
}

/** Takes and finishes `count` requests over all connections, in batches of `size`. */
export async function drain(side: Side, clients: pg.Client[], count: number, size: number): Promise<void> {
  let finished = 0;
  await Promise.all(
    clients.map(async (client) => {
      for (let empty = 0; finished < count; ) {
        const taken = await side.take(client, size);
        if (taken.length === 0) {
          if (++empty > 1000) throw new Error(`${count - finished} requests cannot be claimed`);
          await side.maintain(client);
          continue;
        }
        finished += taken.length;
        await side.finish(client, taken);
      }
    }),
  );
}
