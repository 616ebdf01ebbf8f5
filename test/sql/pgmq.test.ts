import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase, testServer } from "../support/database.ts";
import {
  call,
  callOne,
  claimRequest,
  codeOf,
  configureModels,
  hello,
  type Queryable,
  queryable,
  read,
  submit,
} from "./support.ts";

const conversation = [
  { role: "user", content: "weather?" },
  {
    role: "assistant",
    content: null,
    tool_calls: [{ id: "c1", type: "function", function: { name: "look", arguments: "{}" } }],
  },
  { role: "tool", tool_call_id: "c1", content: "rain" },
];

const hasPgmq = testServer().hasPgmq;

describe.runIf(hasPgmq)("with pgmq", () => {
  let database: TestDatabase;
  let on: Queryable;

  beforeAll(async () => {
    database = await createTestDatabase();
    await configureModels(database);
    on = queryable(database);
    await database.query("select pgmq.create('replies')");
  });
  afterAll(() => database.drop());

  const messagesOf = (id: string, table = "q_llm_requests") =>
    database.query<{ message: Record<string, unknown>; msg_id: string }>(
      `select message, msg_id from pgmq.${table} where message ->> 'request_id' = $1`,
      [id],
    );
  const replies = () =>
    database.query<{ message: Record<string, unknown> }>(
      "select message from pgmq.q_replies order by msg_id",
    );
  const finish = async (id: string, executor: Queryable = on) => {
    await call(executor, "mark_processing", { request_id: id });
    await call(executor, "mark_completed", {
      request_id: id,
      response: '{"a":1}',
      parsed_response: { a: 1 },
    });
  };

  test("a request is copied in its own transaction, and archived by the one that finishes it", async () => {
    const connection = await database.connect();
    await connection.query("begin");
    const id = await submit(connection, { complexity: "simple" });
    expect(await messagesOf(id)).toEqual([]);
    await connection.query("commit");
    expect((await messagesOf(id)).map((row) => row.message)).toEqual([
      { request_id: id, agent_id: "agent", task_type: "task", complexity: "simple" },
    ]);
    expect((await read(on, id)).published_at).toBeInstanceOf(Date);

    await connection.query("begin");
    await finish(id, connection);
    await connection.query("rollback");
    expect(await messagesOf(id)).toHaveLength(1);
    await finish(id);
    expect(await messagesOf(id)).toEqual([]);
    expect(await messagesOf(id, "a_llm_requests")).toHaveLength(1);
  });

  test.each(["cancelled", "failed", "expired"])("a request that is %s is archived too", async (end) => {
    const id = await submit(on, { deadline: new Date(Date.now() + 3_600_000) });
    if (end === "cancelled") await call(on, "cancel_llm_request", { request_id: id });
    if (end === "failed") {
      await claimRequest(on, id);
      await call(on, "mark_failed", { request_id: id, error_type: "refused", error_message: "no" });
    }
    if (end === "expired") {
      await database.query("update llmq.queue set deadline = clock_timestamp() where id = $1", [id]);
      await call(on, "expire_llm_requests");
    }
    expect((await read(on, id)).status).not.toBe("pending");
    expect(await messagesOf(id)).toEqual([]);
    expect(await messagesOf(id, "a_llm_requests")).toHaveLength(1);
  });

  test("each element of a bulk call has its own message, and a retry a new one", async () => {
    const requests = Array.from({ length: 30 }, (_, place) => ({
      agent_id: `agent ${place}`,
      task_type: "t",
      messages: hello,
    }));
    const rows = await call<{ submit_llm_requests: string }>(on, "submit_llm_requests", { requests });
    for (const [place, row] of rows.entries()) {
      const [copy] = await messagesOf(row.submit_llm_requests);
      expect(copy?.message.agent_id).toBe(`agent ${place}`);
      const [queued] = await database.query("select pgmq_msg_id from llmq.queue where id = $1", [
        row.submit_llm_requests,
      ]);
      expect(queued?.pgmq_msg_id).toBe(copy?.msg_id);
    }
    const id = rows[0]?.submit_llm_requests as string;
    await call(on, "cancel_llm_request", { request_id: id });
    await call(on, "retry_llm_request", { request_id: id });
    expect(await messagesOf(id)).toHaveLength(1);
    expect(await messagesOf(id, "a_llm_requests")).toHaveLength(1);
    await finish(id);
    expect(await messagesOf(id, "a_llm_requests")).toHaveLength(2);
  });

  test("pgmq_payload full copies the request whole, in single and in bulk calls", async () => {
    await database.query(`update llmq.settings set value = '"full"' where name = 'pgmq_payload'`);
    const given = {
      agent_id: "full",
      task_type: "t",
      messages: conversation,
      context: { a: null },
      priority: 4,
      settings: { temperature: 1 },
    };
    const id = await submit(on, given);
    const rows = await call(on, "submit_llm_requests", { requests: [given, given] });
    await database.query(`update llmq.settings set value = '"reference"' where name = 'pgmq_payload'`);
    for (const one of [id, ...rows.map((row) => row.submit_llm_requests as string)]) {
      const [copy] = await messagesOf(one);
      expect(copy?.message).toEqual({ ...given, request_id: one, complexity: "medium", max_attempts: 8 });
    }
  });

  test("reply_to gets the result in the transaction that finishes the request", async () => {
    const id = await submit(on, { reply_to: "replies" });
    const connection = await database.connect();
    await connection.query("begin");
    await finish(id, connection);
    expect((await connection.query("select * from pgmq.q_replies")).rows).toHaveLength(1);
    await connection.query("rollback");
    expect(await replies()).toEqual([]);
    await finish(id);
    expect((await replies()).map((row) => row.message)).toEqual([
      expect.objectContaining({
        request_id: id,
        agent_id: "agent",
        task_type: "task",
        status: "completed",
        response: '{"a":1}',
        parsed_response: { a: 1 },
        error_type: null,
        model: "first",
      }),
    ]);
    await database.query("select pgmq.purge_queue('replies')");
  });

  test("a reply that cannot be delivered is set aside, and the answer is kept", async () => {
    await database.query("select pgmq.create('gone_later')");
    const id = await submit(on, { reply_to: "gone_later" });
    await database.query("select pgmq.drop_queue('gone_later')");
    await finish(id);
    expect((await read(on, id)).status).toBe("completed");
    const [row] = await database.query("select queue_name, message, error from llmq.set_aside");
    expect(row).toMatchObject({ queue_name: "gone_later", message: { request_id: id } });
    expect(row?.error).toContain("gone_later");
  });

  test("turned off by its setting, nothing is copied", async () => {
    await database.query("update llmq.settings set value = 'false' where name = 'pgmq'");
    const id = await submit(on);
    await database.query("update llmq.settings set value = 'true' where name = 'pgmq'");
    expect(await messagesOf(id)).toEqual([]);
    expect((await read(on, id)).published_at).toBeNull();
    await finish(id);
  });

  test("without its queue, and without the extension, submits and answers go on", async () => {
    const ids = [await submit(on)];
    await database.query("select pgmq.drop_queue('llm_requests')");
    ids.push(await submit(on));
    await database.query("drop extension pgmq cascade");
    ids.push(await submit(on));
    for (const id of ids) {
      await finish(id);
      expect((await read(on, id)).status).toBe("completed");
    }
    expect(await codeOf(submit(on, { reply_to: "replies" }))).toBe("LQ006");
    expect(await codeOf(call(on, "enable_pgmq"))).toBe("LQ006");
  });
});

test("without pgmq everything but the copies works", async () => {
  const database = await createTestDatabase();
  try {
    await database.query(
      "drop extension if exists pgmq cascade; update llmq.settings set value = 'false' where name = 'pgmq'",
    );
    await configureModels(database);
    const on = queryable(database);
    const id = await submit(on, { idempotency_key: "k" });
    await call(on, "submit_llm_requests", {
      requests: [
        { agent_id: "a", task_type: "t", messages: hello },
        { agent_id: "b", task_type: "t", messages: hello },
      ],
    });
    expect(await codeOf(submit(on, { reply_to: "replies" }))).toBe("LQ006");
    await claimRequest(on, id);
    await call(on, "mark_completed", { request_id: id, response: "x" });
    expect(await read(on, id)).toMatchObject({ status: "completed", published_at: null });
    expect(await callOne(on, "maintain")).not.toBeNull();
    expect(await call(on, "read_external_results")).toEqual([]);
    expect(await call(on, "handle_shared_queue", { queue_name: "job_results" })).toEqual([]);
    expect(await callOne(on, "cleanup_llm_requests", { retention: "0 seconds" })).toBe("1");
  } finally {
    await database.drop();
  }
});
