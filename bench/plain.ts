/** What fairness, lanes and marks cost: claim and finish beside the same tables claimed in the order of their ids. */
import type pg from "pg";
import type { BenchContext, Benchmark, Figure } from "./benchmark.ts";
import { createLlmqSide, drain, fill, type Side } from "./sides.ts";
import { inTurn, secondsOf } from "./statistics.ts";

const CONNECTIONS = 2;

/** A claim as one writes it by hand, with an index for it, over llmq's own tables. */
const PLAIN = `
  create index if not exists bench_pending on llmq.queue (id) where status = 'pending';
  create or replace function public.plain_claim(most int, worker uuid)
  returns table (id uuid, claim_id bigint, messages jsonb, settings jsonb, model text)
  language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
  set plan_cache_mode = force_generic_plan as $$
  begin
    return query
    with picked as materialized (
      select q.id from llmq.queue as q where q.status = 'pending' order by q.id limit most for update skip locked
    ), claimed as (
      update llmq.queue as q
      set status = 'processing', worker_id = worker, claim_id = nextval('llmq.claim_ids'), started_at = clock_timestamp(), updated_at = clock_timestamp()
      where q.id = any (array(select p.id from picked as p))
      returning q.id, q.claim_id, q.lane
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

/** Two databases: an index for the plain claim is no part of llmq's. */
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
