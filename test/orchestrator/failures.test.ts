import type pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { startChatServer } from "./chat-server.ts";
import {
  configureHttp,
  configureSim,
  expectConsistent,
  ledgerOf,
  orchestrators,
  request,
  rowOf,
  submit,
  submitMany,
  untilFinished,
  untilStatus,
} from "./support.ts";

let database: TestDatabase;
const running = orchestrators();

beforeEach(async () => {
  database = await createTestDatabase();
  await configureSim(database);
});
afterEach(async () => {
  await running.stopAll();
  await database.drop();
});

/** Ends every connection of the orchestrators; answers how many. */
async function cutConnections(): Promise<number> {
  const rows = await database.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name in ('orchestrator under test', 'llmq listener')",
  );
  return rows.length;
}

/** A pool whose first query that fits runs to its end, and whose answer is lost on the way. */
function losingPool(fits: (text: string, rows: unknown[]) => boolean): {
  pool: pg.Pool;
  lost: () => boolean;
} {
  const real = database.pool();
  let lost = false;
  const query = async (text: string, values?: unknown[]) => {
    const result = await real.query(text, values);
    if (lost || !fits(text, result.rows)) return result;
    lost = true;
    throw new Error("Connection terminated unexpectedly");
  };
  return { pool: { query } as unknown as pg.Pool, lost: () => lost };
}

describe("connections", () => {
  test("ended in the middle of everything: it goes on, and nothing is called or stored twice", async () => {
    const answered = new Map<string, number>();
    let cut = 0;
    const server = await startChatServer((call) => {
      answered.set(call.said, (answered.get(call.said) ?? 0) + 1);
      // In the thick of it: calls are out, outcomes are being stored, claims are under way.
      if (answered.size % 40 === 0 && cut < 4) {
        cut += 1;
        void cutConnections();
      }
      call.answer("ok");
    });
    await configureHttp(database, "http", server.url);
    const { orchestrator } = await running.start({ url: database.url, batchSize: 10 });
    await submitMany(
      database,
      Array.from({ length: 200 }, (_, index) =>
        request({ model: "http", messages: [{ role: "user", content: `number ${index}` }] }),
      ),
    );
    await untilFinished(database, 200);
    expect(cut).toBe(4);
    const rows = await database.query("select distinct status from llmq.results");
    expect(rows).toEqual([{ status: "completed" }]);
    expect([...answered.values()].every((count) => count === 1)).toBe(true);
    await expectConsistent(database, 200);
    await eventually(() => orchestrator.stats().listenerMode === "listening");
    await server.close();
  });

  test("a claim whose answer is lost on the way is given back, and runs", async () => {
    const { pool, lost } = losingPool((text, rows) => text.includes("claim_pending") && rows.length > 0);
    const { lines } = await running.start({ url: database.url, pool });
    const id = await submit(database);
    expect(await untilStatus(database, id)).toMatchObject({ status: "completed", attempts: 0, crashes: 0 });
    expect(lost()).toBe(true);
    expect(await ledgerOf(database, id)).toEqual(["released", "answered"]);
    expect(lines.some((line) => line.msg.includes("claim never arrived"))).toBe(true);
  });

  test("a cancellation that is lost on the way still ends the call", async () => {
    const server = await startChatServer(() => undefined);
    await configureHttp(database, "hangs", server.url);
    const { pool, lost } = losingPool((text, rows) => text.includes("take_cancellations") && rows.length > 0);
    const { orchestrator } = await running.start({ url: database.url, pool });
    const id = await submit(database, { model: "hangs" });
    await eventually(() => server.calls.length === 1);
    await database.query("select llmq.cancel_llm_request($1)", [id]);
    await server.calls[0]?.hungUp;
    expect(lost()).toBe(true);
    await eventually(() => orchestrator.stats().inFlight === 0);
    expect(await ledgerOf(database, id)).toEqual(["cancelled"]);
    await expectConsistent(database, 1);
    await server.close();
  });

  test("an outcome that was stored although the answer got lost is not stored again", async () => {
    const { pool, lost } = losingPool((text) => text.includes("complete_llm_requests"));
    const { lines } = await running.start({ url: database.url, pool });
    const id = await submit(database);
    expect(await untilStatus(database, id)).toMatchObject({ status: "completed", calls: 1 });
    await eventually(() => lines.some((line) => line.msg.includes("came too late")));
    expect(lost()).toBe(true);
    await expectConsistent(database, 1);
  });
});

describe("outcomes that the database refuses", () => {
  /** The database refuses every result whose answer is like this, until `cure`. */
  const refuse = (like: string) =>
    database.query(`
      create table public.poison as select '${like}'::text as text;
      create function public.refuse() returns trigger language plpgsql as $$
      begin
        if exists (select from public.poison as p where coalesce(new.response, '') like p.text) then
          raise exception 'this is poison';
        end if;
        return new;
      end $$;
      create trigger refuse before insert on llmq.results for each row execute function public.refuse();`);
  const cure = () => database.query("delete from public.poison");

  test("one poisoned outcome does not keep the others of its batch from being stored", async () => {
    await refuse("%poison%");
    const server = await startChatServer(() => undefined);
    await configureHttp(database, "http", server.url);
    await running.start({ url: database.url });
    const ids = await submitMany(
      database,
      Array.from({ length: 30 }, (_, index) =>
        request({ model: "http", max_attempts: 1, messages: [{ role: "user", content: `number ${index}` }] }),
      ),
    );
    await eventually(() => server.calls.length === 30);
    for (const call of server.calls) call.answer(call.said === "number 17" ? "poison" : "fine");
    await untilFinished(database, 30);
    const failed = await database.query(
      "select id, error_type, error_message, calls from llmq.results where status <> 'completed'",
    );
    expect(failed).toEqual([
      {
        id: ids[17],
        error_type: "exception",
        error_message: "The outcome could not be stored: this is poison",
        calls: 1,
      },
    ]);
    await expectConsistent(database, 30);
    await server.close();
  });

  test("a request whose every outcome is refused does not stay in processing", async () => {
    await refuse("%");
    const { lines } = await running.start({ url: database.url });
    const id = await submit(database, { max_attempts: 1 });
    await eventually(async () => (await ledgerOf(database, id)).includes("released"));
    expect(lines.some((line) => line.msg.includes("refuses every outcome"))).toBe(true);
    await cure();
    // Completed, or failed if its outcome was just being refused once more.
    await untilStatus(database, id);
    await expectConsistent(database, 1);
  });

  test.each([
    ["a NUL and half a character", "a\u0000b\ud800c"],
    ["a number beyond all bounds", '{"a": 1e999999}'],
    ["more digits than a numeric has", `{"a": ${"9".repeat(200_000)}}`],
    ["a NUL in a key", '{"a\\u0000": "\\ud800"}'],
    ["arrays in arrays", `${"[".repeat(20_000)}${"]".repeat(20_000)}`],
  ])("an answer with %s ends its request", async (_, text) => {
    const server = await startChatServer((call) =>
      call.answer(text, {
        id: "id\u0000",
        usage: { prompt_tokens: 1e300, completion_tokens: -1, total_tokens: 1e300 },
      }),
    );
    await configureHttp(database, "http", server.url);
    const { lines } = await running.start({ url: database.url });
    const id = await submit(database, { model: "http", max_attempts: 1 });
    expect((await untilStatus(database, id)).error_type).not.toBe("exception");
    expect(lines.filter((line) => line.msg.includes("refused an outcome"))).toEqual([]);
    await server.close();
  });

  test("an error message with a NUL keeps its class", async () => {
    const server = await startChatServer((call) => call.fail(400, { error: { message: "no\u0000 \ud800" } }));
    await configureHttp(database, "http", server.url);
    await running.start({ url: database.url });
    const id = await submit(database, { model: "http" });
    expect(await untilStatus(database, id)).toMatchObject({ error_type: "bad_request" });
    await server.close();
  });

  test("answers that are too much for one message to the server are stored in several", async () => {
    const text = "x".repeat(3_000_000);
    const server = await startChatServer(() => undefined);
    await configureHttp(database, "http", server.url);
    await running.start({ url: database.url });
    await submitMany(
      database,
      Array.from({ length: 6 }, () => request({ model: "http" })),
    );
    await eventually(() => server.calls.length === 6);
    for (const call of server.calls) call.answer(text);
    await untilFinished(database, 6);
    const rows = await database.query("select distinct length(response) from llmq.results");
    expect(rows).toEqual([{ length: text.length }]);
    await server.close();
  });
});

describe("being given up", () => {
  const giveUp = () =>
    database.query(`
      update llmq.workers set heartbeat_at = clock_timestamp() - interval '1 hour';
      select llmq.recover_lost_llm_requests();`);

  test("a worker that was given up aborts its calls, registers anew, and runs what it lost again", async () => {
    const server = await startChatServer(() => undefined);
    await configureHttp(database, "http", server.url);
    const { orchestrator, lines } = await running.start({ url: database.url });
    const { workerId } = orchestrator.stats();
    const id = await submit(database, { model: "http" });
    await eventually(() => server.calls.length === 1);
    await giveUp();
    await server.calls[0]?.hungUp;
    await eventually(() => server.calls.length === 2);
    expect(orchestrator.stats().workerId).not.toBe(workerId);
    expect(await database.query("select id from llmq.workers")).toEqual([
      { id: orchestrator.stats().workerId },
    ]);
    server.calls[1]?.answer("the second");
    expect(await untilStatus(database, id)).toMatchObject({
      response: "the second",
      crashes: 1,
      attempts: 0,
    });
    expect(await ledgerOf(database, id)).toEqual(["lost", "answered"]);
    expect(lines.filter((line) => line.msg.includes("was given up"))).toHaveLength(1);
    await server.close();
  });

  test("an outcome of a claim that was lost changes nothing", async () => {
    const server = await startChatServer(() => undefined);
    await configureHttp(database, "http", server.url);
    const { lines } = await running.start({ url: database.url });
    const id = await submit(database, { model: "http" });
    await eventually(() => server.calls.length === 1);
    await database.query(`
      select llmq.fail_llm_requests(jsonb_agg(jsonb_build_object(
        'request_id', id, 'claim_id', claim_id, 'error_class', 'lost', 'error_message', 'given up',
        'calls', '[{"outcome": "lost"}]'::jsonb))) from llmq.in_flight`);
    await eventually(() => server.calls.length === 2);
    server.calls[0]?.answer("stale");
    await eventually(() => lines.some((line) => line.msg.includes("the claim was lost")));
    expect(await rowOf(database, id)).toMatchObject({ status: "processing" });
    server.calls[1]?.answer("fresh");
    expect(await untilStatus(database, id)).toMatchObject({ response: "fresh", calls: 2 });
    await expectConsistent(database, 1);
    await server.close();
  });

  test("the third worker that dies over a request fails it", async () => {
    const server = await startChatServer(() => undefined);
    await configureHttp(database, "http", server.url);
    await running.start({ url: database.url });
    const id = await submit(database, { model: "http" });
    for (let death = 1; death <= 3; death += 1) {
      await eventually(() => server.calls.length === death);
      await giveUp();
    }
    expect(await untilStatus(database, id)).toMatchObject({
      status: "failed",
      error_type: "lost",
      crashes: 3,
    });
    await server.close();
  });
});
