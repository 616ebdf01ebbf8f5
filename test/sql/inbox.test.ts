import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

async function receive(agentId: string, count: number): Promise<void> {
  await database.query(
    `select llmq.receive_in_inbox('job_results', n + (select coalesce(max(message_id), 0) from llmq.inbox), jsonb_build_object('agent_id', $1::text, 'n', n))
     from generate_series(1, $2::int) as n`,
    [agentId, count],
  );
}

test("an agent takes its unread messages once, and nobody else's", async () => {
  await receive("ada", 3);
  await receive("bob", 1);
  const first = await database.query("select * from llmq.read_inbox('ada', 2)");
  const second = await database.query("select * from llmq.read_inbox('ada', 2)");
  expect([...first, ...second].map((row) => row.message.n).sort()).toEqual([1, 2, 3]);
  expect(await database.query("select * from llmq.read_inbox('ada')")).toEqual([]);
  expect(await database.query("select * from llmq.read_inbox('bob')")).toHaveLength(1);
});

test("messages taken in a transaction that is rolled back are unread again; two readers get different ones", async () => {
  await receive("eve", 2);
  const one = await database.connect();
  await one.query("begin");
  const { rows } = await one.query("select id from llmq.read_inbox('eve', 1)");
  const other = await database.query("select id from llmq.read_inbox('eve', 10)");
  expect(other).toHaveLength(1);
  expect(other[0]?.id).not.toBe(rows[0]?.id);
  await one.query("rollback");
  expect(await database.query("select id from llmq.read_inbox('eve')")).toEqual(rows);
});

test("a nonsensical number of messages is refused", async () => {
  await expect(database.query("select * from llmq.read_inbox('ada', 0)")).rejects.toMatchObject({
    code: "LQ001",
  });
});

test("the retention takes read messages and archived copies, and leaves unread and fresh ones", async () => {
  await receive("old", 2);
  await database.query("select * from llmq.read_inbox('old', 1)");
  await database.query(
    "update llmq.inbox set received_at = now() - interval '91 days', read_at = read_at - interval '91 days' where agent_id = 'old'",
  );
  await database.query("select llmq.cleanup_llm_requests()");
  const left = await database.query("select read_at from llmq.inbox where agent_id = 'old'");
  expect(left).toEqual([{ read_at: null }]);
  expect(await database.query("select id from llmq.inbox where agent_id = 'ada'")).toHaveLength(3);
});
