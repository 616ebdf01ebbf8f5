import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { call } from "./support.ts";

const agents = 1_000;
let database: TestDatabase;
let client: pg.Client;

/**
 * A million open requests: 400,000 ready for one model, 50,000 for one with limits, 300,000 for one that cools down,
 * and 250,000 held ones of agents with all their calls in flight.
 */
beforeAll(async () => {
  database = await createTestDatabase();
  client = await database.connect();
  await client.query(`
    set synchronous_commit = off;
    set session_replication_role = replica;
    select llmq.configure_provider('sim', 'sim');
    select llmq.configure_model('plain', 'sim');
    select llmq.configure_model('limited', 'sim', requests_per_minute => 100000, tokens_per_minute => 100000000, max_concurrency => 10000);
    select llmq.configure_model('cooling', 'sim');
    insert into llmq.agents (agent_id, max_concurrency) select 'agent ' || n, 1 from generate_series(0, ${agents - 1}) as n;
    select llmq.register_worker('test', '1 day');
  `);
  const lane = (name: string) => `(select lane from llmq.models where name = '${name}')`;
  await client.query(`
    create temp table made as
    select llmq.uuid_v7() as id, n, case when n <= 400000 then 'plain' when n <= 450000 then 'limited' when n <= 750000 then 'cooling' else 'held' end as kind
    from generate_series(1, 1000000) as n;
    insert into llmq.queue (id, lane, priority, tag, hold, run_at, created_at, max_attempts, agent_id, task_type, complexity)
    select id,
      case kind when 'limited' then ${lane("limited")} when 'cooling' then ${lane("cooling")} else ${lane("plain")} end,
      0, case when kind <> 'held' then n end, case when kind = 'held' then 'agent_concurrency' end, now(), now(), 8,
      case when kind = 'held' then 'agent ' || n % ${agents} else 'free ' || n % 10 end, 'task', 'simple'
    from made;
    insert into llmq.in_flight (id, worker_id, claim_id, started_at, run_at, created_at, lane, calls, capacity_waits, priority, max_attempts, attempts, reasks, crashes, route_step, pinned, has_reply_to, agent_id, task_type, complexity)
    select llmq.uuid_v7(), (select id from llmq.workers), nextval('llmq.claim_ids'), now(), now(), now(), ${lane("plain")}, 0, 0, 0, 8, 0, 0, 0, 1, false, false,
      'agent ' || n, 'task', 'simple'
    from generate_series(0, ${agents - 1}) as n;
    insert into llmq.requests (id, messages, context, settings)
    select id, '[{"role": "user", "content": "x"}]', '{}', '{}' from made where kind in ('plain', 'limited') and n % 400000 <= 5000;
    insert into llmq.lane_marks (lane, priority) select lane, 0 from llmq.models on conflict do nothing;
    insert into llmq.model_state (lane, cooling_until, reason, error_class, admit) values (${lane("cooling")}, now() + interval '1 day', 'test', 'capacity', 1);
  `);
  await client.query("set session_replication_role = origin");
  await client.query("vacuum (analyze) llmq.queue, llmq.in_flight, llmq.requests");
}, 240_000);
afterAll(() => database.drop());

type Read = { rows: number; blocks: number; seqScans: Record<string, number> };

/** What a statement reads, nested ones included. */
async function reading(statement: string): Promise<Read> {
  await client.query("begin");
  const scans = async () => {
    const { rows } = await client.query(
      "select relname, seq_scan::int from pg_stat_xact_user_tables where schemaname = 'llmq' and (relname in ('queue', 'in_flight') or relname like 'requests%' or relname = 'usage')",
    );
    return new Map<string, number>(rows.map((row) => [row.relname, row.seq_scan]));
  };
  const before = await scans();
  const { rows } = await client.query(`explain (analyze, buffers, format json) ${statement}`);
  const after = await scans();
  await client.query("rollback");
  const plan = rows[0]?.["QUERY PLAN"][0].Plan;
  return {
    rows: plan["Actual Rows"],
    blocks: plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
    seqScans: Object.fromEntries(
      [...after]
        .map(([name, count]) => [name, count - (before.get(name) ?? 0)])
        .filter(([, count]) => count !== 0),
    ),
  };
}

describe("with a million open requests, a claim reads what it takes and little more", () => {
  // Each row that is claimed is read, locked and written, with an entry in every index that its new state is in.
  test.each([
    ["of a model with 400,000 waiting", "models => array['plain']", 50, 5_000],
    ["of a model with every limit", "models => array['limited']", 50, 6_000],
    ["of whatever there is", "models => null", 50, 6_000],
    ["of a model that cools down", "models => array['cooling']", 0, 300],
  ])("%s", async (_name, models, rows, blocks) => {
    const statement = `select * from llmq.claim_pending_llm_requests(50, (select id from llmq.workers), ${models})`;
    // The first call of a session also plans, and reads the catalog for it.
    await reading(statement);
    const read = await reading(statement);
    expect(read.rows).toBe(rows);
    expect(read.seqScans).toEqual({});
    expect(read.blocks).toBeLessThan(blocks);
  });

  test("and so does a look at everything that is held", async () => {
    const statement = "select llmq.release_llm_holds()";
    await reading(statement);
    const read = await reading(statement);
    expect(read.seqScans).toEqual({});
    expect(read.blocks).toBeLessThan(3_000);
  });

  test("and the end of a call of an agent that has more to do", async () => {
    const [held] = await database.query("select id, claim_id from llmq.in_flight where agent_id = 'agent 7'");
    const answers = JSON.stringify([
      { request_id: held?.id, claim_id: held?.claim_id, response: "x", calls: [] },
    ]);
    const statement = `select * from llmq.complete_llm_requests('${answers}')`;
    await reading(statement);
    const read = await reading(statement);
    expect(read.seqScans).toEqual({});
    expect(read.blocks).toBeLessThan(1_000);
    await call(client, "complete_llm_requests", { answers: JSON.parse(answers) });
    const [row] = await database.query(
      "select count(*)::int from llmq.queue where agent_id = 'agent 7' and hold is null",
    );
    expect(row?.count).toBe(1);
  });
});
