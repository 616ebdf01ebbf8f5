/** Lists, on as many rows as years of use leave, cost what they show: counted in pages read, not in time. */
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readRequestPage } from "../../../src/database/dashboard/request-list.ts";
import type { Read } from "../../../src/database/reads.ts";
import type { RequestFilter } from "../../../src/http/dashboard/api-request-types.ts";
import { configureModels } from "../../sql/support.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";

const finished = 180_000;
const waiting = 20_000;
let database: TestDatabase;
let client: pg.Client;

/** Of 100 agents; one in 25 failed, each tenth of those of agent 0; the failed ones of task "rare" are the oldest. */
beforeAll(async () => {
  database = await createTestDatabase();
  await configureModels(database);
  client = await database.connect();
  await client.query("set synchronous_commit = off; set session_replication_role = replica");
  await client.query(`
    create temp table made as
    select n, at,
      (left(llmq.uuid_v7_floor(at)::text, 15) || lpad(to_hex(n % 4096), 3, '0') || substr(gen_random_uuid()::text, 19))::uuid as id
    from (
      select n, now() - greatest(${finished} - n, 0) * interval '6000000 s' / ${finished} as at
      from generate_series(1, ${finished + waiting}) as n
    ) as g`);
  await client.query(`
    insert into llmq.results (id, agent_id, task_type, complexity, priority, status, error_type, error_message, model, max_attempts, created_at, finished_at, response)
    select id, 'agent ' || n % 100, case when n < 1000 then 'rare' else 'task ' || n % 50 end, 'simple', 0,
      case when n % 25 = 0 then 'failed' else 'completed' end,
      case when n % 25 = 0 then 'refused' end, case when n % 25 = 0 then 'it was refused' end,
      case when n < 1000 then 'old' else 'first' end, 8, at, at + interval '5 s', repeat('x', 500)
    from made where n <= ${finished}`);
  await client.query(`
    insert into llmq.queue (id, lane, priority, tag, run_at, created_at, max_attempts, agent_id, task_type, complexity)
    select id, lane, 0, n, at, at, 8, 'agent ' || n % 100, 'task ' || n % 50, 'simple'
    from made, llmq.models where name = 'first' and n > ${finished}`);
  await client.query("reset session_replication_role");
  await client.query("analyze llmq.results; analyze llmq.queue");
});
afterAll(() => database.drop());

type Node = {
  "Node Type": string;
  "Shared Hit Blocks": number;
  "Shared Read Blocks": number;
  Plans?: Node[];
};
const flatten = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(flatten)];

/** Reads a page, and what reading it cost. */
async function costOf(filter: RequestFilter, before: string | null = null) {
  let blocks = 0;
  let rows = 0;
  const nodes: string[] = [];
  const read: Read = async (text, values = []) => {
    const explained = await client.query(`explain (analyze, buffers, format json) ${text}`, values);
    const root = explained.rows[0]?.["QUERY PLAN"][0].Plan as Node;
    blocks += root["Shared Hit Blocks"] + root["Shared Read Blocks"];
    nodes.push(...flatten(root).map((node) => node["Node Type"]));
    const result = await client.query(text, values);
    rows += result.rows.length;
    return result.rows;
  };
  const page = await readRequestPage(read, filter, { before, limit: 50 });
  return { page, blocks, rows, nodes };
}

describe("with 200,000 requests", () => {
  test.each<[string, RequestFilter, number]>([
    ["all of them", {}, 1_500],
    ["the waiting ones", { status: "pending" }, 500],
    ["the completed ones", { status: "completed" }, 1_500],
    ["the failed ones", { status: "failed" }, 1_500],
    ["the cancelled ones, of which there are none", { status: "cancelled" }, 500],
    ["an agent's", { agent: "agent 7" }, 6_000],
    ["an agent's failed ones, of which there are none", { agent: "agent 7", status: "failed" }, 500],
    ["a task type's completed ones", { status: "completed", taskType: "rare" }, 3_000],
    ["those of an hour a month ago", hour(30), 1_500],
  ])("a page of %s reads what it shows", async (_name, filter, limit) => {
    const { blocks, nodes } = await costOf(filter);
    expect(nodes).not.toContain("Seq Scan on results");
    expect(blocks).toBeLessThan(limit);
  });

  test.each<[string, RequestFilter]>([
    ["a task type", { taskType: "rare" }],
    ["a model nobody used lately", { model: "old" }],
    ["a text that no error has", { text: "no such text" }],
    ["a kind of error that no request has", { errorType: "lost" }],
    ["failed ones of a task type that had none lately", { status: "failed", taskType: "rare" }],
  ])("a search for %s ends, and says where to go on", async (_name, filter) => {
    const { blocks, page } = await costOf(filter);
    expect(blocks).toBeLessThan(70_000);
    if (page.requests.length < 50 && page.next !== null) expect(page.searchedTo).not.toBeNull();
  });

  test("a search that goes on from page to page finds everything there is", async () => {
    const found: string[] = [];
    let before: string | null = null;
    do {
      const { page } = await costOf({ model: "old" }, before);
      found.push(...page.requests.map(({ id }) => id));
      before = page.next;
    } while (before !== null);
    expect(found.length).toBe(999);
    expect(new Set(found).size).toBe(999);
    expect(found).toEqual(found.toSorted().toReversed());
  });
});

function hour(daysAgo: number): RequestFilter {
  const from = Date.now() - daysAgo * 86_400_000;
  return { from: new Date(from).toISOString(), to: new Date(from + 3_600_000).toISOString() };
}
