/** A bulk submit looks up what it knows of a request once for those that are alike: nothing may be mixed up. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { configureModels, errorOf, hello, type Queryable, queryable, submit } from "./support.ts";

let database: TestDatabase;
let on: Queryable;

beforeAll(async () => {
  database = await createTestDatabase();
  await configureModels(database);
  on = queryable(database);
  await database.query(`
    select llmq.configure_route('simple', array['second']);
    select llmq.configure_route('*', array['third'], 'translate');
    select llmq.configure_agent('heavy', weight => 4);
    select llmq.configure_agent('agent 3', owner => current_user);
  `);
});
afterAll(() => database.drop());

type Request = Record<string, unknown>;

async function submitMany(requests: Request[]): Promise<string[]> {
  const { rows } = await on.query("select * from llmq.submit_llm_requests($1) as id", [
    JSON.stringify(requests),
  ]);
  return (rows as { id: string }[]).map((row) => row.id);
}

/** What the look-up decides, of each id in order. */
async function routed(ids: string[]): Promise<Record<string, unknown>[]> {
  return await database.query(
    `select m.name as model, q.priority, q.max_attempts, q.pinned, q.agent_id, q.pgmq_msg_id is not null as copied
     from unnest($1::uuid[]) with ordinality as i (id, place)
     join llmq.queue as q on q.id = i.id
     join llmq.models as m on m.lane = q.lane
     order by i.place`,
    [ids],
  );
}

const base = { task_type: "task", messages: hello };
const kinds: Request[] = [
  {},
  { complexity: "simple" },
  { task_type: "translate" },
  { model: "alone" },
  { model: "first" },
  { priority: 7 },
  { max_attempts: 2 },
  { context: { executor: "external" } },
  { context: { note: "not about routing" } },
];

describe("a bulk of many kinds", () => {
  test("is routed as each of its requests would be alone, with more kinds than it remembers", async () => {
    const requests = Array.from({ length: 200 }, (_, n) => {
      return { ...base, agent_id: n % 10 === 0 ? "heavy" : `agent ${n % 23}`, ...kinds[n % kinds.length] };
    });
    const alone: string[] = [];
    for (const request of requests) alone.push(await submit(on, request));
    expect(await routed(await submitMany(requests))).toEqual(await routed(alone));
  });

  test("names the place of the first request without a model, behind good ones that are alike", async () => {
    const good = { ...base, agent_id: "agent" };
    const error = await errorOf(submitMany([good, good, { ...good, model: "unknown" }, good]));
    expect(error).toMatchObject({ code: "LQ003" });
    expect(error?.message).toMatch(/^requests\[2\]: /);
  });
});
