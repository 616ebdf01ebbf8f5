import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { LlmqError, type SubmitRequest } from "../../src/index.ts";
import type { TestDatabase } from "../support/database.ts";
import { waitForBlockedBackend } from "../support/eventually.ts";
import { clientFactory, createClientDatabase, hello, spyOn } from "./support.ts";

let database: TestDatabase;
const clients = clientFactory(() => database);

beforeAll(async () => {
  database = await createClientDatabase();
});
afterEach(() => clients.closeAll());
afterAll(() => database.drop());

const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable("it was accepted"),
    (error) => error as LlmqError,
  );

async function count(): Promise<number> {
  const [row] = await database.query("select count(*)::int as count from llmq.llm_requests");
  return row?.count;
}

describe("one request", () => {
  test("every field of a request arrives under its SQL name", async () => {
    const client = clients.create();
    const parentId = await client.submit(hello());
    const request: SubmitRequest = {
      agentId: "ada",
      taskType: "summary",
      messages: [{ role: "user", content: "Grüße, 世界 🌍 'quoted' \\u0000" }],
      complexity: "complex",
      context: { ticket: 7, nested: { a: [1, null] } },
      responseSchema: { type: "object", properties: { n: { type: "integer" } } },
      tools: [{ type: "function", function: { name: "now", parameters: { type: "object" } } }],
      settings: { temperature: 0.5, max_tokens: 100, stop: ["END"] },
      model: "small",
      priority: 5,
      runAt: new Date("2099-01-01T00:00:00.123Z"),
      deadline: new Date("2099-02-01T00:00:00Z"),
      maxAttempts: 3,
      idempotencyKey: randomUUID(),
      parentId,
    };
    const id = await client.submit(request);
    const stored = await client.get(id);
    expect(stored).toMatchObject(request);
    expect(stored).toMatchObject({ id, status: "pending", replyTo: null, response: null, calls: 0 });
    expect(stored.createdAt).toBeInstanceOf(Date);
    expect(await client.submit(request)).toBe(id);
  });

  test("the client's own agent is used when the request names none", async () => {
    const client = clients.create({ agentId: "grace" });
    const { agentId: _, ...anonymous } = hello();
    expect(await client.get(await client.submit(anonymous))).toMatchObject({ agentId: "grace" });
    expect(await client.get(await client.submit(hello()))).toMatchObject({ agentId: "ada" });
  });

  test("a refusal carries code, message, detail and hint, and stores nothing", async () => {
    const client = clients.create();
    const before = await count();
    const error = await refusal(client.submit({ ...hello(), priority: 101 }));
    expect(error).toBeInstanceOf(LlmqError);
    expect(error.code).toBe("LQ001");
    expect(error.message).toBe("priority must be between -100 and 100");
    expect(error.detail).toBe("It is 101.");
    expect(error.hint).toContain("Higher runs first");
    expect(await refusal(client.submit({ ...hello(), model: "none" }))).toMatchObject({ code: "LQ003" });
    expect(await count()).toBe(before);
  });

  test.each([
    ["U+0000 in a message", { messages: [{ role: "user", content: "a\u0000b" }] }, "messages[0].content"],
    ["half a surrogate pair", { context: { note: "\ud83d" } }, "context.note"],
    ["U+0000 in a key", { context: { deep: [{ "a\u0000": 1 }] } }, "a key of context.deep[0]"],
    ["U+0000 in a name", { idempotencyKey: "k\u0000" }, "idempotency_key"],
  ])("%s is refused before anything is sent, with its path", async (_, part, path) => {
    const pool = database.pool();
    const { statements } = spyOn(pool);
    const client = clients.create({ pool });
    const error = await refusal(client.submit({ ...hello(), ...(part as Partial<SubmitRequest>) }));
    expect(error).toMatchObject({ code: "LQ001", message: expect.stringContaining(path) });
    expect(statements).toEqual([]);
  });

  test("what JSON would silently lose is refused: invalid dates, big integers, circles", async () => {
    const client = clients.create();
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    for (const part of [
      { runAt: new Date("no date") },
      { deadline: "2099-01-01" as unknown as Date },
      { context: { big: 1n } },
      { context: circle },
    ]) {
      expect(await refusal(client.submit({ ...hello(), ...part }))).toMatchObject({ code: "LQ001" });
    }
  });
});

describe("a transaction of the caller's", () => {
  test("a request exists when the transaction commits, and never when it rolls back", async () => {
    const client = clients.create();
    const transaction = await database.connect();
    await transaction.query("begin");
    const id = await client.submit(hello(), { transaction });
    const many = await client.submitMany([hello(), hello()], { transaction });
    expect(await refusal(client.get(id))).toMatchObject({ code: "LQ002" });
    await transaction.query("commit");
    expect(await client.get(id)).toMatchObject({ status: "pending" });
    expect(await client.get(many[1] as string)).toMatchObject({ status: "pending" });

    await transaction.query("begin");
    const lost = await client.submit(hello(), { transaction });
    await transaction.query("rollback");
    expect(await refusal(client.get(lost))).toMatchObject({ code: "LQ002" });
  });

  test("its error is the request's own, without a place in a list", async () => {
    const client = clients.create();
    const transaction = await database.connect();
    await transaction.query("begin");
    const error = await refusal(client.submit({ ...hello(), taskType: "" }, { transaction }));
    expect(error).toMatchObject({ code: "LQ001", message: expect.stringMatching(/^task_type/) });
  });
});

describe("many requests at once", () => {
  test("submitMany is all or none, in order, and names the place of the error", async () => {
    const client = clients.create();
    expect(await client.submitMany([])).toEqual([]);
    const ids = await client.submitMany(["a", "b", "c"].map(hello));
    const contents = await Promise.all(ids.map(async (id) => (await client.get(id)).messages[0]?.content));
    expect(contents).toEqual(["a", "b", "c"]);
    const before = await count();
    const error = await refusal(client.submitMany([hello(), { ...hello(), priority: 999 }]));
    expect(error.message).toBe("requests[1]: priority must be between -100 and 100");
    expect(await count()).toBe(before);
  });

  test("submits made at the same time travel together, and each gets its own id", async () => {
    const pool = database.pool();
    const { matching } = spyOn(pool);
    const client = clients.create({ pool });
    const contents = Array.from({ length: 1200 }, (_, index) => `number ${index}`);
    const ids = await Promise.all(contents.map((content) => client.submit(hello(content))));
    expect(new Set(ids).size).toBe(1200);
    expect(matching("submit_llm_requests").length).toBe(3);
    for (const index of [0, 499, 500, 1199]) {
      const stored = await client.get(ids[index] as string);
      expect(stored.messages[0]?.content).toBe(contents[index]);
    }
  });

  test("what is submitted while a group is under way goes with the next one, one at a time", async () => {
    const pool = database.pool();
    const { matching } = spyOn(pool);
    const client = clients.create({ pool });
    const lock = await database.connect();
    await lock.query("begin; lock table llmq.requests in exclusive mode");
    const first = client.submit(hello("first"));
    await waitForBlockedBackend(database, "submit_llm_requests");
    const others = Array.from({ length: 50 }, (_, index) => client.submit(hello(`other ${index}`)));
    expect(matching("submit_llm_requests").length).toBe(1);
    await lock.query("commit");
    await Promise.all([first, ...others]);
    expect(matching("submit_llm_requests").length).toBe(2);
  });

  test("a large request never makes a group larger than a statement should be", async () => {
    const pool = database.pool();
    const { matching } = spyOn(pool);
    const client = clients.create({ pool });
    const large = hello("x".repeat(3_000_000));
    await Promise.all(Array.from({ length: 4 }, () => client.submit(large)));
    expect(matching("submit_llm_requests").length).toBe(2);
  });

  test("a bad request in a group fails only its own caller", async () => {
    const client = clients.create();
    const before = await count();
    const requests = Array.from({ length: 300 }, (_, index) =>
      index % 100 === 17 ? { ...hello(), complexity: "huge" as "medium" } : hello(`good ${index}`),
    );
    const outcomes = await Promise.allSettled(requests.map((request) => client.submit(request)));
    for (const [index, outcome] of outcomes.entries()) {
      if (index % 100 === 17) {
        expect(outcome).toMatchObject({ status: "rejected", reason: { code: "LQ001" } });
        expect((outcome as PromiseRejectedResult).reason.message).toMatch(/^complexity must be/);
      } else {
        const id = (outcome as PromiseFulfilledResult<string>).value;
        if (index % 50 === 0) expect((await client.get(id)).messages[0]?.content).toBe(`good ${index}`);
      }
    }
    expect(await count()).toBe(before + 297);
  });

  test("when all are bad each gets its own error, and the client goes on", async () => {
    const client = clients.create();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 200 }, (_, index) => client.submit({ ...hello(), priority: 1000 + index })),
    );
    const details = outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason.detail);
    expect(details).toEqual(Array.from({ length: 200 }, (_, index) => `It is ${1000 + index}.`));
    await client.submit(hello());
  });

  test("an error that names no place is narrowed down to the request it is about", async () => {
    const client = clients.create();
    await database.query(`
      create or replace function public.refuse() returns trigger language plpgsql as $$
      begin
        if new.task_type = 'forbidden' then raise exception using errcode = '22023', message = 'not here'; end if;
        return new;
      end $$;
      create or replace trigger refuse before insert on llmq.queue for each row execute function public.refuse();
    `);
    const requests = Array.from({ length: 40 }, (_, index) =>
      index === 13 ? { ...hello(), taskType: "forbidden" } : hello(),
    );
    const outcomes = await Promise.allSettled(requests.map((request) => client.submit(request)));
    await database.query("drop trigger refuse on llmq.queue");
    expect(outcomes.map((outcome) => outcome.status).indexOf("rejected")).toBe(13);
    expect(outcomes.filter((outcome) => outcome.status === "rejected")).toMatchObject([
      { reason: { code: "22023" } },
    ]);
  });

  test("the same key in one group and in two clients gives one request", async () => {
    const [one, two] = [clients.create(), clients.create()];
    const submits = Array.from({ length: 100 }, (_, index) =>
      [one, two].map((client) => client.submit({ ...hello(), idempotencyKey: `key ${index % 7}` })),
    ).flat();
    expect(new Set(await Promise.all(submits)).size).toBe(7);
  });

  test("a key that an open transaction holds does not hold up submits without one", async () => {
    const client = clients.create();
    const transaction = await database.connect();
    await transaction.query("begin");
    const request = { ...hello(), idempotencyKey: randomUUID() };
    const first = await client.submit(request, { transaction });
    const second = client.submit(request);
    await waitForBlockedBackend(database, "submit_llm_requests");
    await client.submit(hello());
    await transaction.query("commit");
    expect(await second).toBe(first);
  });

  test("two clients that lock the same keys in opposite order both succeed", async () => {
    // A deadlock needs each to hold one key: the first group of each takes it, behind a lock on the other.
    const keys = Array.from({ length: 60 }, (_, index) => `cross ${index}`);
    const [one, two] = [clients.create(), clients.create()];
    const submit = (client: typeof one, key: string) => client.submit({ ...hello(), idempotencyKey: key });
    const [forward, backward] = await Promise.all([
      Promise.all(keys.map((key) => submit(one, key))),
      Promise.all(keys.toReversed().map((key) => submit(two, key))),
    ]);
    expect(backward.toReversed()).toEqual(forward);
  });

  test("a lost connection rejects the submits it carried, and the next ones go through", async () => {
    const client = clients.create();
    const lock = await database.connect();
    await lock.query("begin; lock table llmq.requests in exclusive mode");
    const carried = [client.submit(hello()), client.submit(hello())].map((promise) => refusal(promise));
    const pid = await waitForBlockedBackend(database, "submit_llm_requests");
    await database.query("select pg_terminate_backend($1)", [pid]);
    for (const promise of carried) expect(await promise).not.toBeInstanceOf(LlmqError);
    await lock.query("commit");
    await client.submit(hello());
  });
});
