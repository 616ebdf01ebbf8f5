/** What a claim of 50 costs with a million requests waiting, beside the same claim with little waiting. */
import { registerWorker } from "./finish.ts";
import { empty } from "./submit.ts";
import { type Bench, type Figure, MESSAGES, median, ratioFigure } from "./support.ts";

export async function claimDepth(bench: Bench): Promise<Figure[]> {
  const deep = bench.quick ? 100_000 : 1_000_000;
  const worker = await registerWorker(bench);
  const costOf = async (waiting: number) => {
    await empty(bench);
    await fillQueue(bench, waiting);
    const times: number[] = [];
    for (let claim = 0; claim < 40; claim += 1) {
      const startedAt = performance.now();
      const { rowCount } = await bench.query("select id from llmq.claim_pending_llm_requests(50, $1)", [
        worker,
      ]);
      times.push(performance.now() - startedAt);
      if (rowCount !== 50) throw new Error(`claimed ${rowCount} instead of 50`);
    }
    return median(times.slice(5));
  };
  const shallow = await costOf(2_000);
  const full = await costOf(deep);
  await empty(bench);
  return [
    ratioFigure(
      `claim of 50 with ${deep.toLocaleString("en")} waiting, beside 2,000 waiting`,
      "ms",
      full,
      shallow,
      { atMost: 1.5 },
    ),
  ];
}

/** Rows as a submit leaves them, made by one statement: a million submits would measure patience. */
async function fillQueue(bench: Bench, count: number): Promise<void> {
  await bench.query(
    `with new as materialized (
       select llmq.uuid_v7() as id, n, 'agent' || n % 100 as agent_id from generate_series(1, $1::int) as n
     ), stored as (
       insert into llmq.requests (id, agent_id, task_type, complexity, messages, context, settings, priority, max_attempts)
       select id, agent_id, 'chat', 'medium', $2::jsonb, '{}', '{}', 0, 8 from new
     )
     insert into llmq.queue (id, lane, priority, tag, run_at, created_at, max_attempts, agent_id, task_type, complexity)
     select id, (select lane from llmq.models where name = 'sim'), 0,
       (select vt from llmq.lane_marks where lane = (select lane from llmq.models where name = 'sim') and priority = 0) + n / 100 + 1,
       clock_timestamp(), now(), 8, agent_id, 'chat', 'medium'
     from new`,
    [count, JSON.stringify([{ role: "user", content: MESSAGES.slice(0, 60) }])],
  );
  await bench.query("analyze llmq.queue");
  await bench.query("analyze llmq.requests");
}
