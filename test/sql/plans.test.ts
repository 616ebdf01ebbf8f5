import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FINISHED_SINCE } from "../../src/cli/tail-follow.ts";
import { FINISHED_SINCE as FINISHED_OF_AGENTS_SINCE } from "../../src/client/statements.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { explainAnalyzed, makeHistory } from "./history.ts";
import { call, configureModels, queryable } from "./support.ts";

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  await configureModels(database);
  client = await database.connect();
  await makeHistory(client);
});
afterAll(() => database.drop());

const explain = (query: string) => explainAnalyzed(client, query);

describe("with 200,000 requests, by index and few pages:", () => {
  test.each<[string, string, number]>([
    [
      "the first pending ones",
      "select * from llmq.llm_requests where status = 'pending' order by id limit 20",
      1000,
    ],
    ["the newest", "select * from llmq.llm_requests order by id desc limit 50", 2000],
    [
      "the newest, of a list without prompts",
      "select id, status, agent_id, model, error_message from llmq.llm_requests order by id desc limit 50",
      1000,
    ],
    [
      "one by its id",
      "select * from llmq.llm_requests where id = (select id from made where n = 77777)",
      3000,
    ],
    [
      "an agent's failed ones, newest first",
      "select * from llmq.llm_requests where agent_id = 'agent 25' and status = 'failed' order by id desc limit 20",
      2000,
    ],
    [
      "an agent's, newest first",
      "select id, status from llmq.llm_requests where agent_id = 'agent 7' order by id desc limit 20",
      6000,
    ],
    [
      "an agent's pending ones",
      "select id, status from llmq.llm_requests where agent_id = 'agent 7' and status = 'pending'",
      1000,
    ],
    [
      "a task type's, newest first",
      "select id, status from llmq.llm_requests where task_type = 'task 3' order by id desc limit 20",
      6000,
    ],
    [
      "those that finished within the hour",
      "select count(*) from llmq.results where finished_at > now() - interval '1 hour'",
      1000,
    ],
    [
      "the oldest that finished before the retention",
      "select id from llmq.results where finished_at < now() - interval '79 days' order by finished_at limit 100",
      1000,
    ],
  ])("%s", async (_name, query, blocks) => {
    const plan = await explain(query);
    // `made` is this test's own.
    const scans = plan.nodes.filter(
      (node) => node["Node Type"] === "Seq Scan" && node["Relation Name"] !== "made",
    );
    const large = scans.filter((node) => (node["Actual Rows"] ?? 0) * (node["Actual Loops"] ?? 0) > 100);
    expect(large.map((node) => node["Relation Name"])).toEqual([]);
    expect(plan.blocks).toBeLessThan(blocks);
  });

  test.each([
    "select count(*) from llmq.llm_requests where status = 'pending'",
    "select count(*) from llmq.llm_requests where status in ('pending', 'processing')",
    "select status, count(*) from llmq.llm_requests where status = 'pending' group by status",
  ])("%s touches neither prompts nor finished ones", async (query) => {
    const plan = await explain(query);
    const touched = plan.nodes.map((node) => node["Relation Name"]).filter((name) => name !== undefined);
    expect(touched.filter((name) => /^(requests|results|attempts)/.test(name))).toEqual([]);
  });

  test("llmq tail reads what finished since a moment", async () => {
    const since = "now() - interval '10 minutes'";
    const values = [since, "'00000000-0000-0000-0000-000000000000'", "null", "null", "null", "null", "null"];
    const query = values.reduce(
      (text, value, at) => text.replaceAll(`$${at + 1}`, `(${value})`),
      FINISHED_SINCE,
    );
    const { nodes, blocks } = await explain(query);
    expect(
      nodes.filter((node) => node["Node Type"] === "Seq Scan" && node["Relation Name"] === "queue"),
    ).toEqual([]);
    expect(blocks).toBeLessThan(1000);
  });

  test("a client's poll for what finished", async () => {
    const { nodes, blocks } = await explain(
      FINISHED_OF_AGENTS_SINCE.replace("$1", "array['agent 1', 'agent 2']").replace(
        "$2",
        "(extract(epoch from now()) * 1000 - 60000)",
      ),
    );
    const scanned = nodes.filter(
      (node) => node["Node Type"] === "Seq Scan" && (node["Actual Loops"] ?? 0) > 0,
    );
    expect(scanned.filter((node) => (node["Actual Rows"] ?? 0) > 0)).toEqual([]);
    expect(nodes.map((node) => node["Relation Name"])).not.toContain("queue");
    expect(blocks).toBeLessThan(1000);
  });

  test("a count of completed ones never looks at prompts", async () => {
    const plan = await explain("select count(*) from llmq.llm_requests where status = 'completed'");
    const touched = plan.nodes
      .filter((node) => (node["Actual Loops"] ?? 0) > 0)
      .map((node) => node["Relation Name"]);
    expect(touched.filter((name) => name?.startsWith("requests"))).toEqual([]);
  });
});

describe("the statements inside the functions", () => {
  /** Sequential scans of large tables and pages of the queue that this connection's work took. */
  async function taken(work: () => Promise<unknown>): Promise<{ scans: string[]; pages: number }> {
    const look = async () => {
      await client.query("select pg_stat_force_next_flush()").catch(() => undefined);
      const { rows } = await client.query(
        `select s.relname, s.seq_scan::int as scans, (io.heap_blks_read + io.heap_blks_hit + io.idx_blks_read + io.idx_blks_hit)::int as pages
         from pg_stat_user_tables as s join pg_statio_user_tables as io using (relid)
         where s.schemaname = 'llmq' and s.relname ~ '^(queue|requests_|results_|attempts_)'`,
      );
      return new Map(rows.map((row) => [row.relname as string, row]));
    };
    const before = await look();
    await work();
    const after = await look();
    const grown = [...after].filter(([name, row]) => row.scans > (before.get(name)?.scans ?? 0));
    const sizes = await client.query(
      "select relname from pg_class where relnamespace = 'llmq'::regnamespace and relpages > 50",
    );
    const large = new Set(sizes.rows.map((row) => row.relname as string));
    return {
      scans: grown.map(([name]) => name).filter((name) => large.has(name)),
      pages: (after.get("queue")?.pages ?? 0) - (before.get("queue")?.pages ?? 0),
    };
  }

  test("claim, finish, fail and sweep use indexes and touch pages in proportion to what they take", async (context) => {
    const [row] = await database.query("select current_setting('server_version_num')::int / 10000 as major");
    if ((row?.major as number) < 15) return context.skip("statistics cannot be flushed at will before 15");
    await call(client, "claim_pending_llm_requests", { max_requests: 50 });
    let claimed: Record<string, unknown>[] = [];
    const claiming = await taken(async () => {
      claimed = await call(client, "claim_pending_llm_requests", { max_requests: 50 });
    });
    expect(claimed).toHaveLength(50);
    expect(claiming.scans).toEqual([]);
    expect(claiming.pages).toBeLessThan(3000);

    const reports = claimed.map((request) => ({ request_id: request.id, claim_id: request.claim_id }));
    const finishing = await taken(() =>
      call(client, "complete_llm_requests", {
        answers: reports.slice(0, 25).map((one) => ({ ...one, response: "x" })),
      }),
    );
    expect(finishing.scans).toEqual([]);
    expect(finishing.pages).toBeLessThan(2000);

    const failing = await taken(() =>
      call(client, "fail_llm_requests", {
        failures: reports.slice(25).map((one) => ({ ...one, error_class: "transient", error_message: "x" })),
      }),
    );
    expect(failing.scans).toEqual([]);
    expect(failing.pages).toBeLessThan(3000);

    const sweeping = await taken(() => call(client, "sweep_llm_requests"));
    expect(sweeping.scans).toEqual([]);
    const keeping = await taken(async () => {
      await call(client, "expire_llm_requests");
      await call(client, "recover_lost_llm_requests");
    });
    expect(keeping.scans).toEqual([]);
  });

  test("a claim costs no more with 20,000 waiting than with a few", async (context) => {
    const [row] = await database.query("select current_setting('server_version_num')::int / 10000 as major");
    if ((row?.major as number) < 15) return context.skip("statistics cannot be flushed at will before 15");
    const on = queryable(database);
    const pages = async () => {
      const measured = await taken(() => call(client, "claim_pending_llm_requests", { max_requests: 10 }));
      return measured.pages;
    };
    await call(on, "release_llm_requests", {
      worker_id: (await database.query("select id from llmq.workers"))[0]?.id,
    });
    await pages();
    const many = await pages();
    await client.query(
      "delete from llmq.queue where id <> all (array(select id from llmq.queue where tag is not null order by tag desc limit 100))",
    );
    await client.query("vacuum llmq.queue");
    await pages();
    const few = await pages();
    expect(many).toBeLessThan(few * 3 + 200);
  });

  test("a submit that was planned while the queue was empty ranks by one probe of an index when it is full", async () => {
    const other = await createTestDatabase();
    try {
      await configureModels(other);
      await other.query(
        "insert into llmq.lane_marks (lane, priority) select lane, 0 from llmq.models on conflict do nothing",
      );
      const fill = (agent: string) =>
        other.query(`
          insert into llmq.queue (id, lane, priority, tag, run_at, created_at, max_attempts, agent_id, task_type, complexity)
          select llmq.uuid_v7(), lane, 0, n, now(), now(), 8, ${agent}, 'task', 'medium'
          from llmq.models, generate_series(1, 5000) as n where name = 'first'`);
      // Statistics of a queue that was full once, and is empty now.
      await fill("'agent ' || n % 10");
      await other.query("analyze llmq.queue");
      await other.query("truncate llmq.queue");
      await other.query("vacuum analyze llmq.queue");
      const session = await other.connect();
      const submit =
        'select llmq.submit_llm_request(\'agent\', \'task\', \'[{"role": "user", "content": "x"}]\')';
      await session.query(submit);
      await fill("'agent'");
      await session.query("begin");
      await session.query(submit);
      const { rows } = await session.query(
        `select s.seq_scan::int as scans, s.idx_tup_fetch::int as fetched, (select max(tag) from llmq.queue) as last_tag
         from pg_stat_xact_user_tables as s where s.relid = 'llmq.queue'::regclass`,
      );
      expect(rows).toEqual([{ scans: 0, fetched: 1, last_tag: 5001 }]);
    } finally {
      await other.drop();
    }
  });
});
