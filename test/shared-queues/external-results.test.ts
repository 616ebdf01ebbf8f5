import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase, testServer } from "../support/database.ts";
import { eventually, waitForBlockedBackend } from "../support/eventually.ts";
import { left, loopFactory, send, setAside, unhide } from "./support.ts";

let database: TestDatabase;
const loops = loopFactory(() => database);

const schema = {
  type: "object",
  properties: { city: { type: "string" }, population: { type: "integer" } },
  required: ["city", "population"],
};
const unknownId = "01890000-0000-7000-8000-000000000000";

async function submit(responseSchema: unknown = null, tools: unknown = null): Promise<string> {
  const [row] = await database.query(
    `select llmq.submit_llm_request('ada', 'chat', '[{"role": "user", "content": "Which city?"}]',
       context => '{"executor": "external"}', response_schema => $1, tools => $2) as id`,
    [responseSchema, tools].map((value) => (value === null ? null : JSON.stringify(value))),
  );
  return row?.id;
}

/** The request, once loop (b) has finished it. */
const finished = (id: string) =>
  eventually(async () => {
    const [row] = await database.query(
      "select * from llmq.llm_requests where id = $1 and finished_at is not null",
      [id],
    );
    return row;
  });

async function answer(id: string, message: object) {
  await send(database, "llm_results", [{ request_id: id, ...message }]);
  return await finished(id);
}

describe.skipIf(!testServer().hasPgmq)("external results", () => {
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => loops.stopAll());
  afterAll(() => database.drop());

  test("an external worker reads llm_requests by hand, answers, and the request is completed and checked", async () => {
    const id = await submit(schema);
    const [copy] = await database.query("select msg_id, message from pgmq.read('llm_requests', 30, 10)");
    expect(copy?.message).toEqual({
      request_id: id,
      agent_id: "ada",
      task_type: "chat",
      executor: "external",
      complexity: "medium",
    });
    const listener = await database.connect();
    const told: string[] = [];
    listener.on("notification", ({ payload }) => void told.push(payload ?? ""));
    await listener.query('listen "llmq_result:ada"');
    loops.start();
    const response = 'Sure:\n```json\n{"city": "Paris", "population": "2100000"}\n```';
    expect(await answer(id, { response })).toMatchObject({
      status: "completed",
      response,
      parsed_response: { city: "Paris", population: 2_100_000 },
      repairs: expect.arrayContaining(["coerced"]),
      error_type: null,
      model: "external",
      provider: "external",
      calls: 1,
      attempts: 0,
    });
    await eventually(() => told.includes(id));
    expect(await database.query("select from pgmq.q_llm_requests")).toEqual([]);
    expect(await left(database, "llm_results")).toBe(0);
    expect(await database.query("select outcome from llmq.attempts where request_id = $1", [id])).toEqual([
      { outcome: "answered" },
    ]);
  });

  test("plain text, tool calls and an answer that came as JSON are read the way a model's are", async () => {
    loops.start();
    expect(await answer(await submit(), { response: "Paris" })).toMatchObject({
      status: "completed",
      response: "Paris",
      parsed_response: null,
    });
    expect(await answer(await submit(), { response: "" })).toMatchObject({
      status: "completed",
      response: "",
    });
    const city = { city: "Oslo", population: 700_000 };
    expect(await answer(await submit(schema), { response: city })).toMatchObject({
      status: "completed",
      response: '{"city": "Oslo", "population": 700000}',
      parsed_response: city,
    });
    const tools = [{ type: "function", function: { name: "now", parameters: { type: "object" } } }];
    const calls = { tool_calls: [{ id: "a", name: "now", arguments: {} }] };
    expect(await answer(await submit(null, tools), { response: calls })).toMatchObject({
      status: "completed",
      parsed_response: { tool_calls: [{ id: "a", tool_name: "now", params: {} }], final_response: null },
    });
  });

  test("an answer that breaks its schema fails with validation_errors and keeps the text", async () => {
    loops.start();
    expect(await answer(await submit(schema), { response: '{"city": 1, "population": []}' })).toMatchObject({
      status: "failed",
      error_type: "malformed_response",
      error_message: expect.stringMatching(/^Malformed or invalid LLM response/),
      response: '{"city": 1, "population": []}',
      validation_errors: expect.arrayContaining([
        { type: "schema_violation", field: "population", message: expect.stringContaining("integer") },
      ]),
      attempts: 1,
    });
    expect(await answer(await submit(schema), { response: "no JSON at all" })).toMatchObject({
      status: "failed",
      validation_errors: [{ type: "json_decode_error", response_preview: "no JSON at all" }],
    });
  });

  test.each([
    [{ error: "it broke" }, "exception", "it broke"],
    [{ error: "it broke", error_type: "nonsense" }, "exception", "it broke"],
    [{ error: "too rude", error_type: "refused" }, "refused", "too rude"],
    [{ error: { message: "nested", code: 7 } }, "exception", "nested"],
    [{ error: { code: 7 } }, "exception", '{"code":7}'],
    [{ error: "" }, "exception", "the worker gave no reason"],
    [
      { error: "down", error_type: "provider_unavailable" },
      "provider_unavailable",
      "LLM provider unavailable: down",
    ],
    [{ error: "x", response: "partial" }, "exception", "x"],
  ])("%j fails the request with its type and message", async (message, errorType, errorMessage) => {
    loops.start();
    const row = await answer(await submit(schema), message);
    expect(row).toMatchObject({
      status: "failed",
      error_type: errorType,
      error_message: errorMessage,
      attempts: 1,
    });
    expect(row.response).toBe("response" in message ? message.response : null);
  });

  test("messages nobody can use are set aside with the reason and block nothing", async () => {
    const done = await submit();
    loops.start();
    await answer(done, { response: "first" });
    const open = await submit();
    const bad = [
      {},
      [],
      "text",
      { request_id: "no uuid", response: "x" },
      { request_id: 7, response: "x" },
      { request_id: unknownId, response: "x" },
      { request_id: done, response: "second" },
      { request_id: open },
      { request_id: open, response: null },
    ];
    await database.query("delete from llmq.set_aside");
    await send(database, "llm_results", bad);
    await database.query("select pgmq.send('llm_results', null)");
    const last = await submit();
    await answer(last, { response: "behind them" });
    await eventually(async () => (await left(database, "llm_results")) === 0);
    const rows = await setAside(database, "llm_results");
    expect(rows.map((row) => row.message)).toEqual([...bad, null]);
    expect(rows.map((row) => row.error)).toEqual([
      "the message has no request_id",
      "the message is not a JSON object",
      "the message is not a JSON object",
      "no unfinished request has this request_id",
      "the message has no request_id",
      "no unfinished request has this request_id",
      "no unfinished request has this request_id",
      "the message has neither response nor error",
      "the message has neither response nor error",
      "the message is not a JSON object",
    ]);
    const [row] = await database.query("select response from llmq.llm_requests where id = $1", [done]);
    expect(row?.response).toBe("first");
    expect(await answer(open, { response: "after all" })).toMatchObject({ status: "completed" });
  });

  test("an answer that comes as JSON keeps its long integers", async () => {
    const id = await submit({ type: "object" });
    await database.query(
      `select pgmq.send('llm_results', ('{"request_id": "${id}", "response": {"id": 1234567890123456789}}')::jsonb)`,
    );
    loops.start();
    await eventually(async () => {
      const [row] = await database.query(
        "select response, parsed_response ->> 'id' as id from llmq.llm_requests where id = $1 and status = 'completed'",
        [id],
      );
      expect(row).toEqual({ response: '{"id": 1234567890123456789}', id: "1234567890123456789" });
      return true;
    });
  });

  test.skipIf(!testServer().hasRoles)("the role llmq_worker is enough to run the loop", async () => {
    const url = new URL(database.url);
    url.searchParams.set("options", `${url.searchParams.get("options")} -c role=llmq_worker`);
    const pool = database.pool({ connectionString: url.href.replaceAll("+", "%20") });
    const id = await submit(schema);
    await send(database, "job_results", [{ agent_id: "ada" }]);
    const { lines } = loops.start({ pool });
    expect(await answer(id, { response: { city: "Rome", population: 1 } })).toMatchObject({
      status: "completed",
    });
    await eventually(async () => (await left(database, "job_results")) === 0);
    expect(lines).toEqual([]);
  });

  test("two answers for one request in one batch: the first wins, the second is set aside", async () => {
    await database.query("delete from llmq.set_aside");
    const id = await submit();
    await send(database, "llm_results", [
      { request_id: id, response: "first" },
      { request_id: id, response: "second" },
    ]);
    loops.start();
    expect(await finished(id)).toMatchObject({ response: "first" });
    expect(await setAside(database, "llm_results")).toMatchObject([{ message: { response: "second" } }]);
  });

  test("two loops finish each request once", async () => {
    await database.query("delete from llmq.set_aside");
    const ids = await Promise.all(Array.from({ length: 120 }, () => submit()));
    await send(
      database,
      "llm_results",
      ids.map((id) => ({ request_id: id, response: id })),
    );
    const seen: string[] = [];
    const onBatch = (_: string, outcomes: { messageId: string; outcome: string }[]) =>
      void seen.push(...outcomes.map(({ messageId, outcome }) => `${messageId} ${outcome}`));
    loops.start({ batchSize: 5, onBatch });
    loops.start({ batchSize: 5, onBatch });
    await eventually(async () => (await left(database, "llm_results")) === 0);
    await loops.stopAll();
    expect(seen.length).toBe(120);
    expect(seen.every((one) => one.endsWith("handled"))).toBe(true);
    const [row] = await database.query(
      "select count(*)::int as count from llmq.llm_requests where id = any($1) and response = id::text",
      [ids],
    );
    expect(row?.count).toBe(120);
    expect(await setAside(database, "llm_results")).toEqual([]);
  });

  test("a backend that dies while it settles leaves the answer to be settled later", async () => {
    const id = await submit();
    const lock = await database.connect();
    await lock.query("begin");
    await lock.query("select from llmq.queue where id = $1 for update", [id]);
    await send(database, "llm_results", [{ request_id: id, response: "late" }]);
    const { lines } = loops.start();
    const pid = await waitForBlockedBackend(database, "settle_external_results");
    await database.query("select pg_terminate_backend($1)", [pid]);
    await lock.query("commit");
    await eventually(() => lines.find((line) => line.msg === "could not handle a shared queue, will again"));
    await eventually(async () => {
      await unhide(database, "llm_results");
      return (await left(database, "llm_results")) === 0;
    });
    expect(await finished(id)).toMatchObject({ status: "completed", response: "late" });
  });

  test("an answer that comes right behind its request is never taken for one without a request", async () => {
    const lock = await database.connect();
    await lock.query("begin; lock table pgmq.q_llm_results in access exclusive mode");
    loops.start();
    await waitForBlockedBackend(database, "read_external_results");
    const id = await submit();
    await lock.query("select pgmq.send('llm_results', $1)", [{ request_id: id, response: "quick" }]);
    await lock.query("commit");
    expect(await finished(id)).toMatchObject({ status: "completed", response: "quick" });
  });

  test("answers read before an outage are settled after it, at once", async () => {
    const pool = database.pool();
    const query = pool.query.bind(pool) as (text: string, values?: unknown[]) => Promise<never>;
    let refusals = 3;
    pool.query = ((text: string, values?: unknown[]) => {
      if (text.includes("settle_external_results") && refusals-- > 0) {
        return Promise.reject(new Error("connect ECONNREFUSED"));
      }
      return query(text, values);
    }) as typeof pool.query;
    const id = await submit();
    await send(database, "llm_results", [{ request_id: id, response: "kept" }]);
    loops.start({ pool });
    expect(await finished(id)).toMatchObject({ status: "completed", response: "kept" });
  });

  test("a batch that is refused as a whole is narrowed down to the message to blame", async () => {
    await database.query("delete from llmq.set_aside");
    const ids = await Promise.all(Array.from({ length: 5 }, () => submit()));
    const pool = database.pool();
    const query = pool.query.bind(pool) as (text: string, values?: unknown[]) => Promise<never>;
    pool.query = ((text: string, values?: unknown[]) => {
      const rows: { request_id: string; set_aside?: string }[] = text.includes("settle_external")
        ? JSON.parse(values?.[0] as string)
        : [];
      return rows.some((row) => row.request_id === ids[2] && row.set_aside === undefined)
        ? Promise.reject(Object.assign(new Error("too large"), { code: "54000" }))
        : query(text, values);
    }) as typeof pool.query;
    await send(
      database,
      "llm_results",
      ids.map((id) => ({ request_id: id, response: "x" })),
    );
    loops.start({ pool });
    await eventually(async () => (await left(database, "llm_results")) === 0);
    const rows = await database.query(
      "select id from llmq.llm_requests where id = any($1) and status = 'pending'",
      [ids],
    );
    expect(rows).toEqual([{ id: ids[2] }]);
    expect(await setAside(database, "llm_results")).toMatchObject([{ error: "too large" }]);
  });

  test("an answer the database refuses is tried again, set aside in the end, and the others go on", async () => {
    await database.query(`
      delete from llmq.set_aside;
      update llmq.shared_queues set max_reads = 2 where queue_name = 'llm_results';
      create or replace function public.refuse() returns trigger language plpgsql as $$
      begin
        if new.response = 'refused' then raise exception 'not this one'; end if;
        return new;
      end $$;
      create or replace trigger refuse before insert on llmq.results for each row execute function public.refuse();
    `);
    const [bad, good] = [await submit(), await submit()];
    await send(database, "llm_results", [
      { request_id: bad, response: "refused" },
      { request_id: good, response: "fine" },
    ]);
    const { lines } = loops.start();
    expect(await finished(good)).toMatchObject({ status: "completed" });
    await eventually(async () => {
      await unhide(database, "llm_results");
      return (await left(database, "llm_results")) === 0;
    });
    expect(await setAside(database, "llm_results")).toMatchObject([{ error: "not this one" }]);
    expect(lines.find((line) => line.msg === "a message failed, will retry")).toMatchObject({
      queueName: "llm_results",
      error: "not this one",
    });
    const [row] = await database.query("select llmq.status_of($1) as status", [bad]);
    expect(row?.status).toBe("pending");
  });

  test("an answer to a request that was cancelled meanwhile changes nothing", async () => {
    await database.query("delete from llmq.set_aside");
    const id = await submit();
    await database.query("select llmq.cancel_llm_request($1)", [id]);
    await send(database, "llm_results", [{ request_id: id, response: "too late" }]);
    loops.start();
    await eventually(async () => (await left(database, "llm_results")) === 0);
    expect(await finished(id)).toMatchObject({ status: "cancelled", response: null });
    expect((await setAside(database, "llm_results")).length).toBe(1);
  });
});
