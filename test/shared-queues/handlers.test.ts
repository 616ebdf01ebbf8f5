import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase, testServer } from "../support/database.ts";
import { eventually, waitForBackend } from "../support/eventually.ts";
import { createQueue, handled, left, loopFactory, send, setAside, unhide } from "./support.ts";

let database: TestDatabase;
const loops = loopFactory(() => database);

const numbers = (count: number) => Array.from({ length: count }, (_, n) => ({ n }));

describe.skipIf(!testServer().hasPgmq)("shared queues", () => {
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterEach(() => loops.stopAll());
  afterAll(() => database.drop());

  test("a handler of the DBA's own gets every message once, in order, over many full batches", async () => {
    await createQueue(database, "orders");
    const ids = await send(database, "orders", numbers(250));
    const batches: number[] = [];
    loops.start({
      // A poll would be too late: full batches repeat at once.
      pollIntervalMs: 3_600_000,
      batchSize: 100,
      onBatch: (queueName, outcomes) => void (queueName === "orders" && batches.push(outcomes.length)),
    });
    await eventually(async () => (await left(database, "orders")) === 0);
    await loops.stopAll();
    const rows = await handled(database, "orders");
    expect(rows.map((row) => row.message_id)).toEqual(ids);
    expect(rows.map((row) => row.message)).toEqual(numbers(250));
    expect(batches).toEqual([100, 100, 50]);
    const [archived] = await database.query("select count(*)::int as count from pgmq.a_orders");
    expect(archived?.count).toBe(250);
  });

  test("two loops share a queue, and each message is handled by one of them", async () => {
    await createQueue(database, "shared");
    await send(database, "shared", numbers(500));
    loops.start({ batchSize: 7 });
    loops.start({ batchSize: 7 });
    await eventually(async () => (await left(database, "shared")) === 0);
    const rows = await handled(database, "shared");
    expect(rows.length).toBe(500);
    expect(new Set(rows.map((row) => row.message_id)).size).toBe(500);
  });

  test("a backend that dies in the middle of a batch leaves nothing done twice and nothing undone", async () => {
    await createQueue(database, "cut", {
      body: "if message ->> 'n' = '3' then perform pg_advisory_xact_lock(4711); end if;",
    });
    const lock = await database.connect();
    await lock.query("select pg_advisory_lock(4711)");
    const ids = await send(database, "cut", numbers(10));
    const { lines } = loops.start();
    const pid = await waitForBackend(database, {
      queryContains: "handle_shared_queue",
      waitEvent: "advisory",
    });
    await database.query("select pg_terminate_backend($1)", [pid]);
    await lock.query("select pg_advisory_unlock(4711)");
    await eventually(async () => (await left(database, "cut")) === 0);
    const rows = await handled(database, "cut");
    expect(rows.map((row) => row.message_id)).toEqual(ids);
    expect(rows.every((row) => row.pid !== pid)).toBe(true);
    expect(lines.map((line) => line.msg)).toContain("could not handle a shared queue, will again");
    expect(await setAside(database, "cut")).toEqual([]);
  });

  test("a poison message is set aside with its error after max_reads, and those behind it go on", async () => {
    await createQueue(database, "poison", {
      maxReads: 3,
      body: "if message ->> 'n' = '1' then raise exception 'cannot digest %', message; end if;",
    });
    const ids = await send(database, "poison", numbers(4));
    const { lines } = loops.start();
    await eventually(async () => (await left(database, "poison")) === 1);
    expect((await handled(database, "poison")).map((row) => row.message.n)).toEqual([0, 2, 3]);
    expect(await setAside(database, "poison")).toEqual([]);
    await eventually(async () => {
      await unhide(database, "poison");
      return (await left(database, "poison")) === 0;
    });
    expect(await setAside(database, "poison")).toEqual([
      { message_id: ids[1], message: { n: 1 }, error: 'cannot digest {"n": 1}' },
    ]);
    // The loop reports a batch after its commit: once it has stopped, it has.
    await loops.stopAll();
    const failures = lines.filter((line) => line.queueName === "poison");
    expect(failures.map((line) => line.msg)).toEqual([
      "a message failed, will retry",
      "a message failed, will retry",
      "set a message aside",
    ]);
  });

  test.each([
    ["a failed assertion", "assert message ->> 'n' <> '0', 'never';", "never"],
    ["a broken constraint", "insert into llmq.settings (name) values ('retry_max');", "null value"],
    ["a missing table", "perform * from nowhere.at_all;", "does not exist"],
  ])("%s in a handler is a failure like any other", async (name, body, error) => {
    const queue = name.replaceAll(" ", "_");
    await createQueue(database, queue, {
      maxReads: 1,
      body: `if message ->> 'n' = '0' then ${body} end if;`,
    });
    await send(database, queue, numbers(2));
    loops.start();
    await eventually(async () => (await left(database, queue)) === 0);
    expect((await handled(database, queue)).map((row) => row.message)).toEqual([{ n: 1 }]);
    expect(await setAside(database, queue)).toMatchObject([{ error: expect.stringContaining(error) }]);
  });

  test("a constraint that is deferred fails its message alone, and stays deferred for the others", async () => {
    await database.query(`
      create table public.parts (n int primary key, whole int not null, constraint whole foreign key (whole)
        references public.parts deferrable initially deferred);
      insert into public.parts values (0, 0)`);
    // In the wrong order: only the end of the message can tell whether the whole is there.
    await createQueue(database, "deferred", {
      maxReads: 2,
      body: `insert into public.parts values ((message ->> 'n')::int + 10, (message ->> 'n')::int);
        if message ->> 'n' <> '1' then
          insert into public.parts values ((message ->> 'n')::int, 0) on conflict do nothing;
        end if;`,
    });
    const ids = await send(database, "deferred", numbers(4));
    loops.start();
    await eventually(async () => {
      await unhide(database, "deferred");
      return (await left(database, "deferred")) === 0;
    });
    expect((await handled(database, "deferred")).map((row) => row.message.n)).toEqual([0, 2, 3]);
    expect(await setAside(database, "deferred")).toEqual([
      { message_id: ids[1], message: { n: 1 }, error: expect.stringContaining("foreign key") },
    ]);
    expect(await database.query("select n from public.parts order by n")).toEqual(
      [0, 2, 3, 10, 12, 13].map((n) => ({ n })),
    );
  });

  test("a handler that hangs is ended, and holds up neither those behind it nor other queues", async () => {
    await createQueue(database, "hanging", {
      maxReads: 2,
      body: "if message ->> 'n' = '1' then perform pg_sleep(600); end if;",
    });
    await createQueue(database, "beside");
    const ids = await send(database, "hanging", numbers(4));
    loops.start({ handlerTimeoutMs: 1_500 });
    await waitForBackend(database, { queryContains: "handle_shared_queue", waitEvent: "PgSleep" });
    await send(database, "beside", numbers(1));
    await eventually(async () => (await handled(database, "beside")).length === 1);
    await eventually(async () => (await handled(database, "hanging")).length === 3);
    await eventually(async () => {
      await unhide(database, "hanging");
      return (await left(database, "hanging")) === 0;
    });
    expect((await handled(database, "hanging")).map((row) => row.message.n)).toEqual([0, 2, 3]);
    expect(await setAside(database, "hanging")).toMatchObject([
      { message_id: ids[1], error: expect.stringContaining("statement timeout") },
    ]);
  });

  test("a handler that does not exist is reported, and no message suffers for it", async () => {
    await createQueue(database, "unhandled");
    await database.query("alter function public.handle_unhandled rename to handle_unhandled_later");
    await send(database, "unhandled", numbers(2));
    const { lines } = loops.start();
    await eventually(() =>
      lines.find((line) => line.queueName === "unhandled" && (line.err as { code: string }).code === "LQ001"),
    );
    await database.query("alter function public.handle_unhandled_later rename to handle_unhandled");
    await eventually(async () => (await handled(database, "unhandled")).length === 2);
    expect(await setAside(database, "unhandled")).toEqual([]);
  });

  test("a message that is SQL null, and names in capitals, are handled", async () => {
    await createQueue(database, "Odd_Names", {
      maxReads: 1,
      body: "if message = 'null' then raise 'empty'; end if;",
    });
    await database.query("select pgmq.send('Odd_Names', null), pgmq.send('Odd_Names', '[]')");
    loops.start();
    await eventually(async () => (await left(database, "odd_names")) === 0);
    expect(await setAside(database, "Odd_Names")).toMatchObject([{ message: null, error: "empty" }]);
    expect((await handled(database, "Odd_Names")).length).toBe(1);
  });

  test("a disabled queue is left alone, and taken up when it is enabled", async () => {
    await createQueue(database, "paused");
    await database.query("update llmq.shared_queues set enabled = false where queue_name = 'paused'");
    await send(database, "paused", numbers(1));
    await createQueue(database, "enabled");
    await send(database, "enabled", numbers(1));
    loops.start();
    await eventually(async () => (await handled(database, "enabled")).length === 1);
    expect(await left(database, "paused")).toBe(1);
    await database.query("update llmq.shared_queues set enabled = true where queue_name = 'paused'");
    await eventually(async () => (await handled(database, "paused")).length === 1);
  });

  test("stop waits for the batch under way, begins no other, and may be called twice", async () => {
    await createQueue(database, "stopping", { body: "perform pg_advisory_xact_lock_shared(4712);" });
    const lock = await database.connect();
    await lock.query("select pg_advisory_lock(4712)");
    await send(database, "stopping", numbers(3));
    const { loop } = loops.start({ batchSize: 1 });
    await waitForBackend(database, { queryContains: "handle_shared_queue", waitEvent: "advisory" });
    let stopped = false;
    const stopping = Promise.all([loop.stop(), loop.stop()]).then(() => {
      stopped = true;
    });
    // The loop's own task, were it not waiting, would have ended by now.
    await database.query("select 1");
    expect(stopped).toBe(false);
    await lock.query("select pg_advisory_unlock(4712)");
    await stopping;
    expect((await handled(database, "stopping")).length).toBe(1);
    loop.start();
    expect(await left(database, "stopping")).toBe(2);
  });

  test("a stop that overtakes the look for queues begins none of them", async () => {
    await createQueue(database, "overtaken");
    await send(database, "overtaken", numbers(1));
    const pool = database.pool();
    const query = pool.query.bind(pool) as (text: string, values?: unknown[]) => Promise<never>;
    const answered = Promise.withResolvers<void>();
    pool.query = (async (text: string, values?: unknown[]) => {
      const result = await query(text, values);
      await answered.promise;
      return result;
    }) as typeof pool.query;
    const { loop } = loops.start({ pool });
    const stopped = loop.stop();
    answered.resolve();
    await stopped;
    expect(await left(database, "overtaken")).toBe(1);
  });

  test("aborting the signal stops the loop", async () => {
    const controller = new AbortController();
    const { loop } = loops.start({ signal: controller.signal, pollIntervalMs: 3_600_000 });
    controller.abort();
    await loop.stop();
    const { loop: never } = loops.start({ signal: controller.signal });
    await never.stop();
  });

  test("an outage is logged, waited out, and nothing is lost", async () => {
    await createQueue(database, "outage");
    const pool = database.pool();
    const query = pool.query.bind(pool);
    let down = true;
    pool.query = ((text: string, values: unknown[]) =>
      down
        ? Promise.reject(new Error("connect ECONNREFUSED"))
        : (query as typeof pool.query)(text, values)) as typeof pool.query;
    const { lines } = loops.start({ pool });
    await send(database, "outage", numbers(2));
    await eventually(() => lines.find((line) => line.failures === 2));
    down = false;
    await eventually(async () => (await handled(database, "outage")).length === 2);
  });
});

describe.skipIf(!testServer().hasPgmq)("the inbox", () => {
  let own: TestDatabase;
  const ownLoops = loopFactory(() => own);

  beforeAll(async () => {
    own = await createTestDatabase();
  });
  afterEach(() => ownLoops.stopAll());
  afterAll(() => own.drop());

  test.each(["job_results", "approval_responses", "question_responses"])(
    "a message of %s is in the inbox when its agent is told",
    async (queue) => {
      const listener = await own.connect();
      const told: string[] = [];
      listener.on("notification", ({ payload }) => void told.push(payload ?? ""));
      const [row] = await own.query("select llmq.inbox_channel('ada') as channel");
      await listener.query(`listen ${listener.escapeIdentifier(row?.channel)}`);
      ownLoops.start();
      const [messageId] = await send(own, queue, [{ agent_id: "ada", approved: true }]);
      const [inboxId] = await eventually(() => told.length > 0 && told);
      expect(await own.query("select * from llmq.inbox where id = $1", [inboxId])).toMatchObject([
        {
          queue_name: queue,
          message_id: messageId,
          agent_id: "ada",
          message: { agent_id: "ada", approved: true },
        },
      ]);
      expect(await left(own, queue)).toBe(0);
    },
  );

  test("the agent is found by the request, and whatever cannot be addressed is stored all the same", async () => {
    await own.query(`
      select llmq.configure_provider('sim', 'sim');
      select llmq.configure_model('small', 'sim');
      select llmq.configure_route('*', array['small']);
    `);
    const [request] = await own.query(
      `select llmq.submit_llm_request('grace', 'chat', '[{"role": "user", "content": "x"}]') as id`,
    );
    const messages = [
      { request_id: request?.id },
      { request_id: "01890000-0000-7000-8000-000000000000" },
      { request_id: "no uuid" },
      { request_id: { a: 1 } },
      {},
      [],
      "text",
      null,
      { agent_id: 42 },
      { agent_id: "x".repeat(300) },
    ];
    const ids = await send(own, "job_results", messages);
    ownLoops.start();
    await eventually(async () => (await left(own, "job_results")) === 0);
    const rows = await own.query(
      "select agent_id, message from llmq.inbox where message_id = any($1) and queue_name = 'job_results' order by message_id",
      [ids],
    );
    expect(rows.map((row) => row.message)).toEqual(messages);
    expect(rows.map((row) => row.agent_id)).toEqual([
      "grace",
      null,
      null,
      null,
      null,
      null,
      null,
      null,
      "42",
      "x".repeat(300),
    ]);
    expect(await setAside(own, "job_results")).toEqual([]);
  });
});

test("without pgmq the loop is quiet, and begins as soon as pgmq is there", async () => {
  const bare = await createTestDatabase();
  try {
    await bare.query("drop extension if exists pgmq cascade");
    const pool = bare.pool();
    let looks = 0;
    const query = pool.query.bind(pool) as (text: string, values?: unknown[]) => Promise<never>;
    pool.query = ((text: string, values?: unknown[]) => {
      looks += 1;
      return query(text, values);
    }) as typeof pool.query;
    const bareLoops = loopFactory(() => bare);
    const { lines } = bareLoops.start({ pool });
    await eventually(() => looks >= 5);
    if (testServer().hasPgmq) {
      await bare.query(
        "create extension pgmq; select llmq.enable_pgmq(); select pgmq.send('job_results', '{}')",
      );
      await eventually(async () => (await bare.query("select from llmq.inbox")).length === 1);
    }
    await bareLoops.stopAll();
    expect(lines).toEqual([]);
  } finally {
    await bare.drop();
  }
});
