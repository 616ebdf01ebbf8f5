import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import {
  call,
  callOne,
  codeOf,
  configureModels,
  errorOf,
  type Queryable,
  queryable,
  submit,
  unknownId,
} from "./support.ts";

let database: TestDatabase;
let on: Queryable;

beforeAll(async () => {
  database = await createTestDatabase();
  await configureModels(database);
  on = queryable(database);
});
afterAll(() => database.drop());

async function finish(id: string): Promise<void> {
  await callOne(on, "mark_processing", { request_id: id });
  await call(on, "mark_completed", { request_id: id, response: "x" });
}

test("waiting holds no transaction id and no snapshot for long, and ends when the request does", async () => {
  const id = await submit(on);
  const client = await database.connect();
  const [own] = (await client.query("select pg_backend_pid() as pid")).rows;
  const waiting = client.query("call llmq.wait_for_llm_request($1, '30 s')", [id]);
  // Answered below; a test that fails before that should say why itself.
  waiting.catch(() => undefined);
  for (let look = 0; look < 5; look++) {
    const [now] = await database.query("select pg_current_xact_id()::xid as id");
    await eventually(async () => {
      const [row] = await database.query(
        `select backend_xid is null as no_id,
           backend_xmin is null or age(backend_xmin) < age($2::xid) as has_moved_on
         from pg_stat_activity where pid = $1`,
        [own.pid, now?.id],
      );
      return row?.no_id && row.has_moved_on;
    });
  }
  await finish(id);
  expect((await waiting).rows).toEqual([{ status: "completed" }]);
});

test("a finished request is answered without waiting", async () => {
  const id = await submit(on);
  await finish(id);
  const { rows } = await (await database.connect()).query("call llmq.wait_for_llm_request($1, '0 s')", [id]);
  expect(rows).toEqual([{ status: "completed" }]);
});

test("a request that is not finished in time is LQ008, and goes on", async () => {
  const id = await submit(on);
  const error = await errorOf(database.query("call llmq.wait_for_llm_request($1, '20 ms')", [id]));
  expect(error).toMatchObject({ code: "LQ008", detail: "It is pending." });
  expect(await callOne(on, "status_of", { request_id: id })).toBe("pending");
});

test("an unknown id, no time limit, and a call inside a transaction are refused", async () => {
  expect(await codeOf(database.query("call llmq.wait_for_llm_request($1, '1 s')", [unknownId]))).toBe(
    "LQ002",
  );
  expect(await codeOf(database.query("call llmq.wait_for_llm_request($1, null)", [await submit(on)]))).toBe(
    "LQ001",
  );
  const client = await database.connect();
  await client.query("begin");
  const id = await submit(on);
  expect(await codeOf(client.query("call llmq.wait_for_llm_request($1, '1 s')", [id]))).toBe("2D000");
});

test("the agent is told on its channel when its requests end, with their ids", async () => {
  const agent = 'an "odd" agent';
  const long = "a".repeat(200);
  const client = await database.connect();
  const heard: { channel: string; payload?: string }[] = [];
  client.on("notification", ({ channel, payload }) => heard.push({ channel, payload: payload ?? "" }));
  for (const name of [agent, long]) {
    const channel = await callOne<string>(on, "result_channel", { agent_id: name });
    await client.query(`listen ${client.escapeIdentifier(channel)}`);
  }
  const ids = [
    await submit(on, { agent_id: agent }),
    await submit(on, { agent_id: agent }),
    await submit(on, { agent_id: long }),
    await submit(on, { agent_id: "somebody else" }),
  ];
  const answers = [];
  for (const id of ids) {
    answers.push({
      request_id: id,
      claim_id: await callOne(on, "mark_processing", { request_id: id }),
      response: "x",
    });
  }
  await call(on, "complete_llm_requests", { answers });
  await client.query("select 1");
  expect(heard).toHaveLength(2);
  expect(heard[0]?.channel).toBe(`llmq_result:${agent}`);
  expect(heard[0]?.payload?.split(",").sort()).toEqual(ids.slice(0, 2).sort());
  expect(heard[1]?.payload).toBe(ids[2]);
});

test("more ids than fit into one notification are told in several", async () => {
  const client = await database.connect();
  const heard: string[] = [];
  client.on("notification", ({ payload }) => heard.push(...(payload ?? "").split(",")));
  await client.query('listen "llmq_result:many"');
  const item = {
    agent_id: "many",
    task_type: "t",
    messages: [{ role: "user", content: "x" }],
    model: "alone",
  };
  const rows = await call<{ submit_llm_requests: string }>(on, "submit_llm_requests", {
    requests: Array.from({ length: 450 }, () => item),
  });
  const claimed = await call(on, "claim_pending_llm_requests", { max_requests: 1000, models: ["alone"] });
  await call(on, "complete_llm_requests", {
    answers: claimed.map((request) => ({
      request_id: request.id,
      claim_id: request.claim_id,
      response: "x",
    })),
  });
  await client.query("select 1");
  expect(heard.sort()).toEqual(rows.map((row) => row.submit_llm_requests).sort());
});

test("a submit wakes orchestrators only when one sleeps, with one notification", async () => {
  const client = await database.connect();
  let heard = 0;
  client.on("notification", () => heard++);
  await client.query("listen llmq_wake");
  await callOne(on, "disarm_wake");
  expect(await callOne(on, "disarm_wake")).toBe(false);
  await submit(on);
  await client.query("select 1");
  expect(heard).toBe(0);
  expect(await callOne(on, "arm_wake")).toBe(true);
  expect(await callOne(on, "arm_wake")).toBe(false);
  await call(on, "submit_llm_requests", {
    requests: Array.from({ length: 30 }, () => ({
      agent_id: "a",
      task_type: "t",
      messages: [{ role: "user", content: "x" }],
    })),
  });
  await client.query("select 1");
  expect(heard).toBe(1);
});
