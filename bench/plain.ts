/** What fairness, lanes and marks cost: claim and finish beside the same tables claimed in the order of their ids. */
import type pg from "pg";
import type { BenchContext, Benchmark, Figure } from "./benchmark.ts";
import { createLlmqSide, drain, fill, type Side } from "./sides.ts";
import { inTurn, secondsOf } from "./statistics.ts";

const CONNECTIONS = 2;

/** A claim as one writes it by hand, over llmq's own tables. */
const PLAIN = `
  create or replace function public.plain_claim(most int, worker uuid)
  returns table (id uuid, claim_id bigint, messages jsonb, settings jsonb, model text)
  language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
  begin
    return query
    with picked as materialized (
      select q.id from llmq.queue as q order by q.id limit most for update skip locked
    ), claimed as (
      delete from llmq.queue as q
      where q.id = any (array(select p.id from picked as p))
      returning q.*, nextval('llmq.claim_ids') as claim_id
    ), moved as (
      insert into llmq.in_flight (
        id, worker_id, claim_id, started_at, run_at, deadline, created_at, pgmq_msg_id, lane, calls, capacity_waits, priority,
        max_attempts, attempts, reasks, crashes, route_step, pinned, has_reply_to, agent_id, task_type, complexity
      )
      select
        c.id, worker, c.claim_id, clock_timestamp(), c.run_at, c.deadline, c.created_at, c.pgmq_msg_id, c.lane, c.calls, c.capacity_waits, c.priority,
        c.max_attempts, c.attempts, c.reasks, c.crashes, c.route_step, c.pinned, c.has_reply_to, c.agent_id, c.task_type, c.complexity
      from claimed as c
    )
    select c.id, c.claim_id, r.messages::jsonb, r.settings::jsonb, m.name
    from claimed as c
    cross join lateral (select r.* from llmq.requests as r where r.id = c.id limit 1) as r
    join llmq.models as m on m.lane = c.lane;
  end $$`;

async function plainSide(client: pg.Client, llmq: Side): Promise<Side> {
  await client.query(PLAIN);
  const { rows } = await client.query("select llmq.register_worker('plain', interval '1 day') as id");
  return {
    ...llmq,
    async take(on, size) {
      const text = "select * from public.plain_claim($1, $2)";
      const taken = await on.query({ name: "plain_claim", text, values: [size, rows[0].id] });
      return taken.rows.map((row) => ({ id: row.id as string, claim: row.claim_id as string }));
    },
  };
}

/** Two databases, so that neither claim meets what the other one left. */
async function measure({ server, rounds, quick }: BenchContext, size: number): Promise<Figure> {
  const [fair, plain] = [await server.createDatabase(), await server.createDatabase()];
  const [fairClients, plainClients] = [
    await fair.connectAll(CONNECTIONS),
    await plain.connectAll(CONNECTIONS),
  ];
  const [fairFirst, plainFirst] = [fairClients[0] as pg.Client, plainClients[0] as pg.Client];
  const fairly = await createLlmqSide(fairFirst);
  const plainly = await plainSide(plainFirst, await createLlmqSide(plainFirst));
  const count = quick ? 2000 : 8000;
  const rate = async (side: Side, clients: pg.Client[]) => {
    await fill(side, clients[0] as pg.Client, count);
    return count / (await secondsOf(() => drain(side, clients, count, size)));
  };
  const { llmq, peer, ratio } = await inTurn(
    rounds,
    () => rate(fairly, fairClients),
    () => rate(plainly, plainClients),
  );
  await fair.drop();
  await plain.drop();
  return {
    name: `claim and finish, batches of ${size}, beside a claim in the order of ids`,
    unit: "requests/s",
    llmq,
    peer: { name: "plain claim", value: peer },
    ratio,
    target: null,
  };
}

export const plainClaim: Benchmark = {
  name: "plain",
  run: async (context) => [await measure(context, 50), await measure(context, 200)],
};
