import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { explainAnalyzed, makeHistory } from "./history.ts";
import { configureModels } from "./support.ts";

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  await configureModels(database);
  client = await database.connect();
  await makeHistory(client);
  // As autovacuum would have: which pages have no dead rows is what an index-only scan goes by. While autovacuum
  // analyzes one of the tables, its snapshot keeps the pages from being marked so.
  await eventually(async () => {
    await client.query("vacuum analyze llmq.requests, llmq.results, llmq.attempts, llmq.queue");
    const [row] = await database.query(
      "select count(*)::int from pg_class where relnamespace = 'llmq'::regnamespace and relkind = 'r' and relpages > 100 and relallvisible < 0.9 * relpages",
    );
    return row?.count === 0;
  });
});
afterAll(() => database.drop());

/** Scans that read a whole large table. */
async function wholeTables(query: string): Promise<{ tables: string[]; blocks: number }> {
  const { nodes, blocks } = await explainAnalyzed(client, query);
  const scans = nodes.filter((node) => /^(Parallel )?Seq Scan$/.test(node["Node Type"]));
  const large = scans.filter((node) => (node["Actual Rows"] ?? 0) * (node["Actual Loops"] ?? 0) > 1000);
  return { tables: large.map((node) => node["Relation Name"] ?? "?"), blocks };
}

describe("with 200,000 requests, views read an index of their time and no answers:", () => {
  // The last day has 2,274 requests, three hours 284.
  test.each<[string, number]>([
    ["requests_by_minute", 1500],
    ["completed_last_hour", 300],
    ["agent_success_rate", 1500],
    ["agent_success_rate where period = '1 hour'", 1500],
    ["recent_failures", 400],
    ["validation_failures", 400],
    ["latency_by_model", 1000],
    ["tool_calls", 400],
    ["tool_calls where agent_id = 'agent 1' order by finished_at desc limit 10", 400],
    ["tool_call_counts", 400],
    ["provider_outages", 400],
    ["provider_health", 1000],
    ["limit_use", 1000],
    ["budget_use", 1000],
    ["worker_health", 1000],
    // A month is 68,000 requests, in 11,000 pages with their answers.
    ["token_usage", 3000],
    ["cost_by_day", 3000],
    ["stuck_requests", 3000],
    ["storage_health", 1000],
    ["table_health", 2000],
  ])("%s", async (view, most) => {
    const { tables, blocks } = await wholeTables(`select * from llmq.${view}`);
    expect(tables).toEqual([]);
    expect(blocks).toBeLessThan(most);
  });

  test.each(["queue_depth", "queue_by_agent"])(
    "%s reads the queue and nothing else that is large",
    async (view) => {
      const { tables, blocks } = await wholeTables(`select * from llmq.${view}`);
      expect(tables.filter((name) => name !== "queue" && name !== "in_flight")).toEqual([]);
      expect(blocks).toBeLessThan(4000);
    },
  );

  test("what /metrics reads is the queue, and the last hour of what finished", async () => {
    const { blocks } = await wholeTables("select llmq.read_metrics()");
    expect(blocks).toBeLessThan(6000);
  });
});
