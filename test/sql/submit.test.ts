import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import {
  call,
  callOne,
  claim,
  codeOf,
  configureModels,
  errorOf,
  hello,
  type Queryable,
  queryable,
  read,
  submit,
  unknownId,
} from "./support.ts";

let database: TestDatabase;
let on: Queryable;

beforeAll(async () => {
  database = await createTestDatabase();
  await configureModels(database);
  on = queryable(database);
  if (database.hasPgmq) await database.query("select pgmq.create('replies')");
});
afterAll(() => database.drop());

/** Every place a submit may write to. */
async function stored(): Promise<Record<string, unknown>> {
  const copies = database.hasPgmq ? "(select count(*)::int from pgmq.q_llm_requests)" : "0";
  const [row] = await database.query(
    `select (select count(*)::int from llmq.requests) as requests, (select count(*)::int from llmq.queue) as queue,
       (select count(*)::int from llmq.idempotency_keys) as keys, ${copies} as copies`,
  );
  return row as Record<string, unknown>;
}

describe("what submit stores", () => {
  test("the defaults, when only agent, task type and messages are given", async () => {
    const row = await read(on, await submit(on, { agent_id: "a1", task_type: "t1" }));
    expect(row).toMatchObject({
      agent_id: "a1",
      task_type: "t1",
      messages: hello,
      complexity: "medium",
      context: {},
      response_schema: null,
      tools: null,
      settings: {},
      model: "first",
      provider: "sim",
      priority: 0,
      deadline: null,
      max_attempts: 8,
      idempotency_key: null,
      reply_to: null,
      parent_id: null,
      status: "pending",
      attempts: 0,
      calls: 0,
      error_type: null,
      response: null,
      finished_at: null,
    });
    expect(row.published_at === null).toBe(!database.hasPgmq);
  });

  test("every parameter as it was given", async () => {
    const parent = await submit(on);
    const given = {
      agent_id: "a2",
      task_type: "t2",
      messages: [
        { role: "system", content: "be brief" },
        { role: "user", content: [{ type: "text", text: "hi" }] },
      ],
      complexity: "complex",
      context: { trace: "x", nothing: null },
      response_schema: { type: "object", properties: { n: { type: "integer" } } },
      tools: [{ type: "function", function: { name: "look", parameters: { type: "object" } } }],
      settings: { temperature: 0.5, max_tokens: 10 },
      model: "alone",
      priority: 7,
      max_attempts: 3,
      idempotency_key: "every parameter",
      parent_id: parent,
    };
    const times = { run_at: "2090-01-01T00:00:00.000Z", deadline: "2090-01-02T00:00:00.000Z" };
    const row = await read(on, await submit(on, { ...given, ...times }));
    expect(row).toMatchObject(given);
    expect((row.run_at as Date).toISOString()).toBe(times.run_at);
    expect((row.deadline as Date).toISOString()).toBe(times.deadline);
  });

  test("nulls for optional parameters count as left out", async () => {
    const row = await read(
      on,
      await submit(on, { context: null, settings: null, tools: null, response_schema: null }),
    );
    expect(row).toMatchObject({ context: {}, settings: {}, tools: null, response_schema: null });
  });

  test("ids grow in the order of submits", async () => {
    const ids = [await submit(on), await submit(on), await submit(on)];
    expect([...ids].sort()).toEqual(ids);
  });

  test("the most specific route is taken: task type first, then complexity", async () => {
    await database.query(`
      select llmq.configure_route('*', array['second'], 'routed');
      select llmq.configure_route('simple', array['third'], 'routed');
      select llmq.configure_route('simple', array['alone']);
    `);
    const modelOf = async (over: Record<string, unknown>) => (await read(on, await submit(on, over))).model;
    expect(await modelOf({ task_type: "routed", complexity: "simple" })).toBe("third");
    expect(await modelOf({ task_type: "routed", complexity: "medium" })).toBe("second");
    expect(await modelOf({ task_type: "other", complexity: "simple" })).toBe("alone");
    expect(await modelOf({ task_type: "other", complexity: "complex" })).toBe("first");
    expect(await modelOf({ context: { executor: "external" } })).toBe("external");
  });
});

describe("an invalid request is refused and stores nothing", () => {
  const hour = 3_600_000;
  const refused: [string, Record<string, unknown>, string, RegExp][] = [
    ["no agent", { agent_id: null }, "LQ001", /agent_id/],
    ["a blank agent", { agent_id: "  " }, "LQ001", /agent_id/],
    ["a control character in the task type", { task_type: "a\nb" }, "LQ001", /task_type/],
    ["an unknown complexity", { complexity: "hard" }, "LQ001", /complexity/],
    ["no complexity", { complexity: null }, "LQ001", /complexity/],
    ["no messages", { messages: null }, "LQ001", /messages/],
    ["an empty conversation", { messages: [] }, "LQ001", /messages/],
    ["a message without a role", { messages: [{ content: "x" }] }, "LQ001", /messages\[0\]/],
    ["a context that is no object", { context: [{}] }, "LQ001", /context/],
    ["an unknown executor", { context: { executor: "me" } }, "LQ001", /executor/],
    ["a schema that is no object", { response_schema: '"text"' }, "LQ001", /response_schema/],
    ["tools that are no array", { tools: {} }, "LQ001", /tools/],
    ["settings out of range", { settings: { temperature: 9 } }, "LQ001", /temperature/],
    ["an unknown setting", { settings: { temprature: 1 } }, "LQ001", /temprature/],
    ["a priority that is too high", { priority: 101 }, "LQ001", /priority/],
    ["no priority", { priority: null }, "LQ001", /priority/],
    ["no attempts", { max_attempts: 0 }, "LQ001", /max_attempts/],
    ["too many attempts", { max_attempts: 1001 }, "LQ001", /max_attempts/],
    ["a deadline that has passed", { deadline: new Date(Date.now() - hour) }, "LQ001", /deadline/],
    [
      "a deadline before run_at",
      { run_at: new Date(Date.now() + 2 * hour), deadline: new Date(Date.now() + hour) },
      "LQ001",
      /deadline/,
    ],
    ["a blank idempotency key", { idempotency_key: " " }, "LQ001", /idempotency_key/],
    ["a model nobody configured", { model: "ghost" }, "LQ003", /ghost/],
    ["a reply_to that is no queue", { reply_to: "nowhere" }, "LQ006", /./],
  ];
  let before: Record<string, unknown>;
  beforeEach(async () => {
    before = await stored();
  });

  test.each(refused)("%s", async (_name, over, code, message) => {
    const error = await errorOf(submit(on, { idempotency_key: "refused", ...over }));
    expect(error?.code).toBe(code);
    expect(error?.message).toMatch(message);
    expect(error?.hint).toMatch(/\S/);
    expect(await stored()).toEqual(before);
  });

  test.each(refused)("%s, in bulk: the place is named", async (_name, over, code) => {
    // null stands for "left out" there.
    const given = Object.fromEntries(Object.entries(over).filter(([, value]) => value !== null));
    if (Object.keys(given).length === 0) return;
    const good = { agent_id: "a", task_type: "t", messages: hello, idempotency_key: "bulk" };
    const bad = { ...good, idempotency_key: "bulk bad", ...given };
    const error = await errorOf(call(on, "submit_llm_requests", { requests: [good, good, bad, good] }));
    expect(error?.code).toBe(code);
    expect(error?.message).toMatch(/^requests\[2\]: /);
    expect(await stored()).toEqual(before);
  });

  test("no route at all", async () => {
    const empty = await createTestDatabase();
    try {
      const error = await errorOf(submit(queryable(empty)));
      expect(error).toMatchObject({ code: "LQ003", message: "no route for this request" });
    } finally {
      await empty.drop();
    }
  });

  test("a key that was refused is free for the next try", async () => {
    await errorOf(submit(on, { idempotency_key: "second try", model: "ghost" }));
    const id = await submit(on, { idempotency_key: "second try" });
    expect((await read(on, id)).status).toBe("pending");
  });

  test("a transaction that is rolled back leaves nothing either", async () => {
    const connection = await database.connect();
    await connection.query("begin");
    await submit(connection, { idempotency_key: "rolled back" });
    await connection.query("rollback");
    expect(await stored()).toEqual(before);
  });
});

describe("bulk submit", () => {
  test("answers the ids in the order of the array, repeated keys included", async () => {
    const requests = Array.from({ length: 50 }, (_, place) => ({
      agent_id: place < 48 ? `agent ${place % 20}` : "twice",
      task_type: `bulk ${place}`,
      messages: hello,
      priority: place % 3,
      ...(place >= 48 && { idempotency_key: "same in one call" }),
    }));
    const rows = await call<{ submit_llm_requests: string }>(on, "submit_llm_requests", { requests });
    const ids = rows.map((row) => row.submit_llm_requests);
    expect(ids).toHaveLength(50);
    expect(ids[49]).toBe(ids[48]);
    for (const place of [0, 1, 17, 48]) {
      expect(await read(on, ids[place] as string)).toMatchObject({
        task_type: `bulk ${place}`,
        agent_id: place < 48 ? `agent ${place % 20}` : "twice",
        priority: place % 3,
      });
    }
  });

  test("takes an empty array, and refuses anything but an array of objects", async () => {
    expect(await call(on, "submit_llm_requests", { requests: "[]" })).toEqual([]);
    for (const requests of ["{}", "[1]", "null", '"x"', '[{"agent": "a"}]']) {
      expect(await codeOf(call(on, "submit_llm_requests", { requests })), requests).toBe("LQ001");
    }
  });

  test.each([
    ["priority", "soon"],
    ["run_at", "tomorrow-ish"],
    ["parent_id", "me"],
    ["priority", 1.5],
    ["max_attempts", 99999999999],
  ])("a %s of the wrong type is the caller's error and names its place", async (key, value) => {
    const good = { agent_id: "a", task_type: "t", messages: hello };
    const requests = Array.from({ length: 40 }, (_, place) =>
      place === 31 ? { ...good, [key]: value } : good,
    );
    const error = await errorOf(call(on, "submit_llm_requests", { requests }));
    expect(error?.code).toBe("LQ001");
    expect(error?.message).toMatch(/^requests\[31\]: /);
  });
});

describe("INSERT into llmq.llm_requests", () => {
  test("submits, and RETURNING gives the stored row", async () => {
    const [row] = await database.query(
      `insert into llmq.llm_requests (agent_id, task_type, messages, priority, context)
       values ('orm', 'insert', $1, 3, '{"a": 1}') returning *`,
      [JSON.stringify(hello)],
    );
    expect(row).toMatchObject({
      agent_id: "orm",
      status: "pending",
      priority: 3,
      context: { a: 1 },
      model: "first",
    });
    expect(await callOne(on, "status_of", { request_id: row?.id })).toBe("pending");
  });

  test("inserts many in one statement", async () => {
    const rows = await database.query(
      `insert into llmq.llm_requests (agent_id, task_type, messages)
       select 'orm many', 'insert', $1::jsonb from generate_series(1, 10) returning id`,
      [JSON.stringify(hello)],
    );
    expect(new Set(rows.map((row) => row.id)).size).toBe(10);
  });

  test.each([
    ["id", `'${unknownId}'`],
    ["status", "'completed'"],
    ["status", "'processing'"],
  ])("refuses a %s of %s", async (column, value) => {
    const insert = `insert into llmq.llm_requests (agent_id, task_type, messages, ${column})
      values ('orm', 'insert', '${JSON.stringify(hello)}', ${value})`;
    expect(await codeOf(database.query(insert))).toBe("LQ001");
  });

  test("takes the status an ORM writes for a new row", async () => {
    const [row] = await database.query(
      `insert into llmq.llm_requests (agent_id, task_type, messages, status)
       values ('orm', 'insert', $1, 'pending') returning status`,
      [JSON.stringify(hello)],
    );
    expect(row?.status).toBe("pending");
  });

  test("checks like submit", async () => {
    const insert = "insert into llmq.llm_requests (agent_id, task_type, messages) values ('a', 't', '[]')";
    expect(await codeOf(database.query(insert))).toBe("LQ001");
  });

  test.each([
    ["update llmq.llm_requests set priority = 1", /cannot be updated$/, /cancel_llm_request/],
    ["delete from llmq.llm_requests", /cannot be deleted$/, /cleanup_llm_requests/],
  ])("%s is refused, with what to call instead", async (statement, message, hint) => {
    const id = await submit(on, { agent_id: "orm", task_type: "insert", messages: hello });
    const error = await errorOf(database.query(`${statement} where id = '${id}'`));
    expect(error).toMatchObject({
      code: "LQ007",
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    });
    expect(await callOne(on, "status_of", { request_id: id })).toBe("pending");
  });
});

describe("when it runs", () => {
  beforeEach(async () => {
    await database.query(
      "select llmq.cancel_llm_request(id) from llmq.llm_requests where status in ('pending', 'processing')",
    );
  });

  test("not before run_at, and then at once", async () => {
    const id = await submit(on, { model: "alone", run_at: new Date(Date.now() + 3_600_000) });
    expect(await claim(on, { models: ["alone"] })).toEqual([]);
    await database.query("update llmq.queue set run_at = clock_timestamp() where id = $1", [id]);
    expect((await claim(on, { models: ["alone"] })).map((request) => request.id)).toEqual([id]);
  });

  test("a run_at that has passed long ago is now, also for a priority nobody used before", async () => {
    const id = await submit(on, { model: "alone", run_at: new Date(0), priority: -91 });
    expect((await claim(on, { models: ["alone"] })).map((request) => request.id)).toEqual([id]);
  });

  test("higher priorities first, inside one priority in the order of submits", async () => {
    const ids = new Map<string, string>();
    for (const [name, priority] of [
      ["low", -5],
      ["zero", 0],
      ["high", 9],
      ["zero again", 0],
    ] as const) {
      ids.set(name, await submit(on, { model: "alone", priority }));
    }
    const claimed = (await claim(on, { models: ["alone"] })).map((request) => request.id);
    expect(claimed).toEqual(["high", "zero", "zero again", "low"].map((name) => ids.get(name)));
  });

  test("a request past its deadline is not claimed, and fails; a running one two seconds later", async () => {
    const queued = await submit(on, { model: "alone", deadline: new Date(Date.now() + 3_600_000) });
    const running = await submit(on, {
      model: "alone",
      deadline: new Date(Date.now() + 3_600_000),
      priority: 1,
    });
    const [held] = await claim(on, { models: ["alone"], max_requests: 1 });
    expect(held?.id).toBe(running);
    await database.query("update llmq.queue set deadline = clock_timestamp() where id = $1", [queued]);
    await database.query("update llmq.in_flight set deadline = clock_timestamp() where id = $1", [running]);
    expect(await claim(on, { models: ["alone"] })).toEqual([]);
    // Of both kinds together, no more than asked.
    expect(await callOne(on, "expire_llm_requests", { max_requests: 0 })).toBe(0);
    expect(await callOne(on, "expire_llm_requests")).toBe(1);
    expect(await read(on, queued)).toMatchObject({
      status: "failed",
      error_type: "deadline_exceeded",
      calls: 0,
    });
    expect((await read(on, running)).status).toBe("processing");

    await database.query(
      "update llmq.in_flight set deadline = clock_timestamp() - interval '2 s' where id = $1",
      [running],
    );
    expect(await callOne(on, "expire_llm_requests")).toBe(1);
    expect(await read(on, running)).toMatchObject({
      status: "failed",
      error_type: "deadline_exceeded",
      calls: 1,
    });
    // Its worker is told to abort the call, and what it still reports changes nothing.
    const [told] = await database.query("select claim_id from llmq.cancellations where request_id = $1", [
      running,
    ]);
    expect(told?.claim_id).toBe(held?.claim_id);
  });
});
