/** A long transaction holds a snapshot while 1,000 requests a second go through: does the claim get slower? */
import { setTimeout as sleep } from "node:timers/promises";
import { registerWorker } from "./finish.ts";
import { empty } from "./submit.ts";
import { type Bench, type Figure, MESSAGES, median, ratioFigure } from "./support.ts";

const PER_SECOND = 1_000;

export async function heldSnapshot(bench: Bench): Promise<Figure[]> {
  const heldMs = bench.quick ? 15_000 : 60_000;
  const [submitter, worker, holder] = await bench.connect(3);
  if (!submitter || !worker || !holder) throw new Error("no connections");
  await empty(bench);
  const workerId = await registerWorker(bench);
  const messages = JSON.parse(MESSAGES);
  const batch = JSON.stringify(
    Array.from({ length: PER_SECOND / 20 }, (_, n) => ({
      agent_id: `agent${n % 10}`,
      task_type: "chat",
      messages,
    })),
  );
  const times: { at: number; claimMs: number }[] = [];
  const startedAt = performance.now();
  const elapsed = () => performance.now() - startedAt;
  const warmMs = 5_000;
  const endMs = warmMs + heldMs;

  const submitting = (async () => {
    for (let due = 0; due < endMs; due += 50) {
      if (due > elapsed()) await sleep(due - elapsed());
      await submitter.query("select llmq.submit_llm_requests($1)", [batch]);
    }
  })();
  const working = (async () => {
    while (elapsed() < endMs) {
      const claimStartedAt = performance.now();
      const { rows } = await worker.query("select id from llmq.claim_pending_llm_requests(50, $1)", [
        workerId,
      ]);
      if (rows.length > 0) times.push({ at: elapsed(), claimMs: performance.now() - claimStartedAt });
      await finish(
        worker,
        rows.map((row) => row.id),
      );
      if (rows.length < 50) await sleep(5);
    }
  })();
  const sweeping = (async () => {
    while (elapsed() < endMs) {
      await bench.query("select llmq.maintain()");
      await sleep(1_000);
    }
  })();
  await sleep(warmMs);
  await holder.query("begin isolation level repeatable read; select count(*) from llmq.settings");
  await Promise.all([submitting, working, sweeping]);
  await holder.query("rollback");

  const between = (from: number, to: number) =>
    median(times.filter((one) => one.at >= from && one.at < to).map((one) => one.claimMs));
  const first = between(warmMs, warmMs + 5_000);
  const last = between(endMs - 5_000, endMs);
  await empty(bench);
  return [
    ratioFigure(
      `claim p50 after a snapshot was held for ${heldMs / 1000} s at 1,000/s, beside its start`,
      "ms",
      last,
      first,
      { atMost: 3 },
    ),
  ];
}

async function finish(
  client: { query(text: string, values: unknown[]): Promise<unknown> },
  ids: string[],
): Promise<void> {
  if (ids.length === 0) return;
  const answers = ids.map((id) => ({ request_id: id, response: "yes", calls: [{ outcome: "answered" }] }));
  await client.query("select llmq.complete_llm_requests($1)", [JSON.stringify(answers)]);
}
