import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, expectTypeOf, test } from "vitest";
import {
  ClientClosedError,
  createClient,
  type LlmRequest,
  RequestFailedError,
  resultChannel,
  WaitTimeoutError,
} from "../../src/index.ts";
import { type TestDatabase, testServer } from "../support/database.ts";
import { eventually, waitForBackend } from "../support/eventually.ts";
import { clientFactory, complete, createClientDatabase, fail, hello, spyOn } from "./support.ts";

let database: TestDatabase;
const clients = clientFactory(() => database);

beforeAll(async () => {
  database = await createClientDatabase();
});
afterEach(() => clients.closeAll());
afterAll(() => database.drop());

const unknownId = "01890000-0000-7000-8000-000000000000";

/** Resolves with the new pending request of this task type. */
const pending = (taskType: string) =>
  eventually(async () => {
    const rows = await database.query(
      "select id from llmq.llm_requests where task_type = $1 and status = 'pending'",
      [taskType],
    );
    return rows[0]?.id as string | undefined;
  });

test("the channel is named as in SQL, for long and strange agents too", async () => {
  for (const agentId of [
    "ada",
    "",
    'a"b c',
    "é".repeat(25),
    "é".repeat(26),
    "x".repeat(50),
    "x".repeat(51),
  ]) {
    const [row] = await database.query("select llmq.result_channel($1) as channel", [agentId]);
    expect(resultChannel(agentId)).toBe(row?.channel);
  }
});

describe.each([
  ["with notifications", {}],
  ["by polling alone", { listen: false }],
])("waiting %s", (_, options) => {
  test("wait resolves with what became of the request", async () => {
    const client = clients.create(options);
    const id = await client.submit(hello());
    const waiting = client.wait<{ n: number }>(id);
    expectTypeOf(waiting).resolves.toEqualTypeOf<LlmRequest<{ n: number }>>();
    await complete(database, id, '{"n": 1}', { n: 1 });
    const finished = await waiting;
    expect(finished).toMatchObject({
      id,
      agentId: "ada",
      status: "completed",
      response: '{"n": 1}',
      parsedResponse: { n: 1 },
      errorType: null,
      model: "small",
      provider: "sim",
      calls: 1,
      repairs: [],
    });
    expect(finished.finishedAt).toBeInstanceOf(Date);
    expect(await client.wait(id)).toEqual(finished);
  });

  test("a failed or cancelled request ends the wait like any other, and makes ask throw", async () => {
    const client = clients.create(options);
    const failed = await client.submit(hello());
    await fail(database, failed, "it broke");
    expect(await client.wait(failed)).toMatchObject({
      status: "failed",
      errorType: "exception",
      errorMessage: "it broke",
    });

    const asked = client.ask({ ...hello(), taskType: "ask that is cancelled" }).catch((error) => error);
    const id = await pending("ask that is cancelled");
    expect(await client.cancel(id, "changed my mind")).toBe(true);
    const error = await asked;
    expect(error).toBeInstanceOf(RequestFailedError);
    expect(error.message).toContain("changed my mind");
    expect(error.request).toMatchObject({ id, status: "cancelled" });
  });

  test("ask submits, waits and answers", async () => {
    const client = clients.create(options);
    const asked = client.ask<string>({ ...hello(), taskType: "ask" }, { timeoutMs: 30_000 });
    await complete(database, await pending("ask"), "Hi", null);
    expect(await asked).toMatchObject({ status: "completed", response: "Hi", parsedResponse: null });
  });

  test("an unknown request ends its own wait only", async () => {
    const client = clients.create(options);
    const id = await client.submit(hello());
    const good = client.wait(id);
    await expect(client.wait(unknownId)).rejects.toMatchObject({ code: "LQ002" });
    await expect(client.wait("not an id")).rejects.toMatchObject({ code: "LQ001" });
    await complete(database, id);
    expect(await good).toMatchObject({ id });
  });

  test("a wait ends by time, by signal and by close, and the request goes on", async () => {
    const client = clients.create(options);
    const id = await client.submit(hello());
    const error = await client.wait(id, { timeoutMs: 30 }).catch((reason) => reason);
    expect(error).toBeInstanceOf(WaitTimeoutError);
    expect(error).toMatchObject({ code: "LQ008", requestId: id, timeoutMs: 30 });

    await expect(client.wait(id, { signal: AbortSignal.abort("early") })).rejects.toBe("early");
    const controller = new AbortController();
    const aborted = client.wait(id, { signal: controller.signal, timeoutMs: Number.POSITIVE_INFINITY });
    controller.abort(new Error("late"));
    await expect(aborted).rejects.toThrow("late");

    const closed = client.wait(id).catch((reason) => reason);
    await client.close();
    expect(await closed).toBeInstanceOf(ClientClosedError);
    const [row] = await database.query("select llmq.status_of($1) as status", [id]);
    expect(row?.status).toBe("pending");
  });

  test("hundreds of waits share a few queries, and callers that wait for the same share an answer", async () => {
    const pool = database.pool();
    const { matching } = spyOn(pool);
    const client = clients.create({ ...options, pool });
    const ids = await client.submitMany(Array.from({ length: 300 }, () => hello()));
    const waiting = Promise.all([...ids, ...ids].map((id) => client.wait(id)));
    await database.query(
      `select llmq.complete_llm_requests(jsonb_agg(jsonb_build_object(
         'request_id', i.id, 'claim_id', llmq.mark_processing(i.id), 'response', i.id, 'calls', '[]'::jsonb)))
       from unnest($1::uuid[]) as i (id)`,
      [ids],
    );
    const finished = await waiting;
    expect(finished.map((request) => request.response)).toEqual([...ids, ...ids]);
    expect(matching("llmq.llm_requests").length).toBeLessThan(30);
  });

  test("a request that finishes, is retried and finishes again is waited for twice", async () => {
    const client = clients.create(options);
    const id = await client.submit(hello());
    await fail(database, id, "first");
    expect(await client.wait(id)).toMatchObject({ status: "failed" });
    expect(await client.retry(id)).toBe(true);
    const again = client.wait(id);
    await complete(database, id, "second");
    expect(await again).toMatchObject({ status: "completed", response: "second" });
    expect(await client.retry(id)).toBe(false);
  });
});

test("while it waits, the client holds no connection busy and no snapshot open", async () => {
  const pool = database.pool({ application_name: "waiter" });
  const client = clients.create({ pool });
  const id = await client.submit(hello());
  const waiting = client.wait(id);
  await eventually(async () => {
    const rows = await database.query(
      "select state, backend_xmin, query from pg_stat_activity where application_name = 'waiter'",
    );
    const looked = rows.some(({ query }) => query.includes("llmq.llm_requests"));
    return looked && rows.every(({ state, backend_xmin }) => state === "idle" && backend_xmin === null);
  });
  await complete(database, id);
  await waiting;
});

test("a wait survives the loss of every connection", async () => {
  const pool = database.pool({ application_name: "cut" });
  const client = clients.create({ pool, listenUrl: database.url });
  const id = await client.submit(hello());
  const waiting = client.wait(id);
  await waitForBackend(database, { queryContains: "from llmq.llm_requests", state: "idle" });
  await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name in ('cut', 'llmq client listener')`,
  );
  await complete(database, id);
  expect(await waiting).toMatchObject({ status: "completed" });
});

test("a wait goes on when the looks fail, and ends when the tables are gone", async () => {
  const pool = database.pool();
  const query = pool.query.bind(pool);
  let failing = true;
  pool.query = ((text: string, values: unknown[]) => {
    if (failing && text.includes("llmq.llm_requests"))
      return Promise.reject(new Error("connect ECONNREFUSED"));
    return query(text, values);
  }) as typeof pool.query;
  const client = clients.create({ pool, listen: false });
  const id = await client.submit(hello());
  const waiting = client.wait(id);
  await complete(database, id);
  failing = false;
  expect(await waiting).toMatchObject({ status: "completed" });

  const empty = clients.create({ connectionString: database.url.replace(database.name, "postgres") });
  await expect(empty.wait(id)).rejects.toMatchObject({ code: "42P01" });
});

test.skipIf(!testServer().hasRoles)("the role llmq_client is enough for all of it", async () => {
  const url = new URL(database.url);
  url.searchParams.set("options", `${url.searchParams.get("options")} -c role=llmq_client`);
  const client = clients.create({ connectionString: url.href.replaceAll("+", "%20") });
  const asked = client.ask({ ...hello(), taskType: "as llmq_client", idempotencyKey: randomUUID() });
  const id = await pending("as llmq_client");
  expect((await client.explain(id)).status).toBe("pending");
  expect((await client.get(id)).messages).toEqual(hello().messages);
  await fail(database, id, "no");
  await expect(asked).rejects.toBeInstanceOf(RequestFailedError);
  expect(await client.retry(id)).toBe(true);
  expect(await client.cancel(id)).toBe(true);
  const seen: string[] = [];
  client.onResult("ada", (request) => void seen.push(request.id));
  const [last] = await client.submitMany([hello()]);
  await complete(database, last as string);
  await eventually(() => seen.includes(last as string));
});

describe("close", () => {
  test("close may be called twice, lets submits finish, and refuses what comes later", async () => {
    const client = clients.create();
    const submits = [client.submit(hello()), client.submit(hello())];
    await Promise.all([client.close(), client.close()]);
    const ids = await Promise.all(submits);
    expect(new Set(ids).size).toBe(2);
    await expect(client.submit(hello())).rejects.toBeInstanceOf(ClientClosedError);
    await expect(client.ask(hello())).rejects.toBeInstanceOf(ClientClosedError);
    await expect(client.get(unknownId)).rejects.toBeInstanceOf(ClientClosedError);
    expect(() => client.onResult("ada", () => {})).toThrow(ClientClosedError);
  });

  test("a client closes itself at the end of its block and leaves a given pool open", async () => {
    const pool = database.pool();
    {
      await using client = createClient({ pool });
      await client.submit(hello());
    }
    expect((await pool.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  });

  test("nothing is left connected after close", async () => {
    const client = clients.create();
    const id = await client.submit(hello());
    await client.wait(id, { timeoutMs: 20 }).catch(() => undefined);
    await client.close();
    await eventually(async () => {
      const rows = await database.query(
        "select 1 from pg_stat_activity where datname = current_database() and application_name like 'llmq client%'",
      );
      return rows.length === 0;
    });
  });

  test("a client without a database is refused at once", () => {
    expect(() => createClient({})).toThrow("connectionString or a pool");
  });
});
