import type pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import {
  call,
  callOne,
  codeOf,
  configureModels,
  type Queryable,
  queryable,
  read,
  submit,
} from "./support.ts";

let database: TestDatabase;
let on: Queryable;

beforeEach(async () => {
  database = await createTestDatabase();
  await configureModels(database);
  on = queryable(database);
});
afterEach(() => database.drop());

const partitions = async (table: string) =>
  (
    await database.query<{ name: string }>(
      "select relname as name from pg_inherits join pg_class on oid = inhrelid where inhparent = $1::regclass order by 1",
      [`llmq.${table}`],
    )
  ).map((row) => row.name);
const weeksOf = async (table: string) =>
  (await partitions(table)).filter((name) => /_\d{8}$/.test(name)).map((name) => name.slice(-8));
/** The partition a row sits in. */
const placeOf = async (table: string, key: string, id: string) =>
  (
    await database.query<{ place: string }>(
      `select tableoid::regclass::text as place from llmq.${table} where ${key} = $1`,
      [id],
    )
  )[0]?.place;

/**
 * A week that long ago, as ensure_partitions() of those days would have made it: the end of its partitions'
 * names, and how many days ago its middle was.
 */
async function oldWeek(weeksAgo: number): Promise<{ week: string; middle: number }> {
  const [row] = await database.query<{ week: string }>(
    `select (date_trunc('week', now() at time zone 'UTC') - $1 * interval '7 days')::text as week`,
    [weeksAgo],
  );
  await database.query(
    `select llmq.make_partition(p, p || '_' || to_char($1::timestamp, 'YYYYMMDD'),
       llmq.uuid_v7_floor($1::timestamp at time zone 'UTC'), llmq.uuid_v7_floor(($1::timestamp + interval '7 days') at time zone 'UTC'))
     from unnest(array['requests', 'results', 'attempts']) as p`,
    [row?.week],
  );
  const [made] = await database.query(
    `select to_char($1::timestamp, 'YYYYMMDD') as week,
       extract(epoch from now() - ($1::timestamp + interval '3 days 12 hours') at time zone 'UTC') / 86400 as middle`,
    [row?.week],
  );
  return { week: made?.week as string, middle: Number(made?.middle) };
}
/** A finished (or, without `finishedDaysAgo`, waiting) request of a moment, straight into the tables. */
async function backdated(createdDaysAgo: number, finishedDaysAgo?: number): Promise<string> {
  const [row] = await database.query<{ id: string }>(
    `with made as (
       select (left(llmq.uuid_v7_floor(now() - $1::float8 * interval '1 day')::text, 24) || substr(gen_random_uuid()::text, 25))::uuid as id,
         now() - $1::float8 * interval '1 day' as at
     ), request as (
       insert into llmq.requests (id, messages, context, settings, idempotency_key)
       select id, '[]', '{}', '{}', id::text from made
     ), key as (
       insert into llmq.idempotency_keys (agent_id, key, request_id) select 'old', id::text, id from made
     ), attempt as (
       insert into llmq.attempts (request_id, number, outcome) select id, 1, 'answered' from made where $2::float8 is not null
     ), tools as (
       insert into llmq.tool_results (request_id, results, next_request_id) select id, '[]', id from made where $2::float8 is not null
     ), result as (
       insert into llmq.results (id, agent_id, task_type, complexity, priority, status, max_attempts, created_at, finished_at)
       select id, 'old', 't', 'simple', 0, 'completed', 1, at, now() - $2::float8 * interval '1 day' from made where $2::float8 is not null
     ), waiting as (
       insert into llmq.queue (id, lane, priority, run_at, created_at, max_attempts, agent_id, task_type, complexity)
       select made.id, lane, 0, at, at, 1, 'old', 't', 'simple' from made, llmq.models where name = 'first' and $2::float8 is null
     )
     select id from made`,
    [createdDaysAgo, finishedDaysAgo ?? null],
  );
  return row?.id as string;
}
const left = async () =>
  (
    await database.query(
      `select (select count(*)::int from llmq.requests) as requests, (select count(*)::int from llmq.results) as results,
         (select count(*)::int from llmq.attempts) as attempts, (select count(*)::int from llmq.idempotency_keys) as keys,
         (select count(*)::int from llmq.tool_results) as tools, (select count(*)::int from llmq.queue) as queue`,
    )
  )[0];

describe("ensure_partitions", () => {
  test("makes the weeks from this one on, for all three tables, and only those that are missing", async () => {
    expect(await callOne(on, "ensure_partitions")).toBe(0);
    const weeks = await weeksOf("requests");
    expect(weeks).toHaveLength(5);
    expect(await callOne(on, "ensure_partitions", { ahead: "6 weeks" })).toBe(6);
    for (const table of ["requests", "results", "attempts"]) expect(await weeksOf(table)).toHaveLength(7);
    const [row] = await database.query(
      "select to_char(date_trunc('week', now() at time zone 'UTC'), 'YYYYMMDD') as week",
    );
    expect(weeks[0]).toBe(row?.week);
  });

  test.each(["America/New_York", "Pacific/Auckland"])(
    "makes whole weeks of UTC from a session in %s, whose clocks change",
    async (zone) => {
      const client = await database.connect();
      await client.query(`set timezone = '${zone}'`);
      await callOne(client, "ensure_partitions", { ahead: "54 weeks" });
      const { rows } = await client.query(`
        select distinct extract(isodow from to_date(right(relname, 8), 'YYYYMMDD')) as day,
          pg_get_expr(relpartbound, oid) ~ ('\\(''' || left(llmq.uuid_v7_floor((right(relname, 8) || ' 00:00+00')::timestamptz)::text, 13)) as fits
        from pg_class where relnamespace = 'llmq'::regnamespace and relname ~ '^(requests|results|attempts)_\\d{8}$'`);
      expect(rows).toEqual([{ day: "1", fits: true }]);
      expect(await callOne(on, "ensure_partitions", { ahead: "54 weeks" })).toBe(0);
    },
  );

  test("moves rows that came while the week had no partition", async () => {
    const [week] = await weeksOf("requests");
    for (const table of ["requests", "results", "attempts"])
      await database.query(`drop table llmq.${table}_${week}`);
    const [waiting, finished] = [await submit(on), await submit(on)];
    await callOne(on, "mark_processing", { request_id: finished });
    await call(on, "mark_completed", { request_id: finished, response: "x" });
    expect(await placeOf("requests", "id", waiting)).toBe("llmq.requests_default");
    expect(await placeOf("results", "id", finished)).toBe("llmq.results_default");

    expect(await callOne(on, "ensure_partitions")).toBe(3);
    expect(await placeOf("requests", "id", waiting)).toBe(`llmq.requests_${week}`);
    expect(await placeOf("results", "id", finished)).toBe(`llmq.results_${week}`);
    expect(await placeOf("attempts", "request_id", finished)).toBe(`llmq.attempts_${week}`);
    expect(await read(on, finished)).toMatchObject({ status: "completed", response: "x" });
    await callOne(on, "mark_processing", { request_id: waiting });
    await call(on, "mark_completed", { request_id: waiting, response: "x" });
    expect(await placeOf("results", "id", waiting)).toBe(`llmq.results_${week}`);
  });

  test("works while rows stream into the default partition", async () => {
    const [week] = await weeksOf("requests");
    for (const table of ["requests", "results", "attempts"])
      await database.query(`drop table llmq.${table}_${week}`);
    const pool = database.pool({ max: 5 });
    const ids: string[] = [];
    let made = false;
    const submitters = Array.from({ length: 4 }, async () => {
      while (!made) ids.push(await submit(pool));
    });
    // It gives way rather than let everybody wait, so it may take more than one call.
    while ((await weeksOf("requests"))[0] !== week || (await weeksOf("attempts"))[0] !== week) {
      await callOne(pool, "ensure_partitions");
    }
    made = true;
    await Promise.all(submitters);
    const [row] = await database.query("select count(*)::int as rows from llmq.requests_default");
    expect(row?.rows).toBe(0);
    expect((await database.query("select count(*)::int as rows from llmq.requests"))[0]?.rows).toBe(
      ids.length,
    );
  });

  test("gives up behind a long reader instead of holding everybody up, and says so", async () => {
    const [week] = await weeksOf("requests");
    for (const table of ["requests", "results", "attempts"])
      await database.query(`drop table llmq.${table}_${week}`);
    const reader = await database.connect();
    await reader.query("begin; select count(*) from llmq.requests");
    const client = await database.connect();
    const warnings: string[] = [];
    client.on("notice", (notice) => warnings.push(notice.message ?? ""));
    expect(await callOne(client, "ensure_partitions")).toBe(0);
    expect(warnings.join()).toContain("was not made");
    await reader.query("rollback");
    expect(await callOne(client, "ensure_partitions")).toBe(3);
  });
});

describe("cleanup_llm_requests", () => {
  test("keeps what is younger than the retention, and whatever is not finished", async () => {
    const young = await backdated(95, 89);
    const waiting = await backdated(200);
    const old = await backdated(95, 91);
    expect(await callOne(on, "cleanup_llm_requests")).toBe("1");
    expect(await read(on, young)).toMatchObject({ status: "completed" });
    expect(await read(on, waiting)).toMatchObject({ status: "pending", messages: [] });
    expect(await read(on, old)).toBeUndefined();
    expect(await left()).toEqual({ requests: 2, results: 1, attempts: 1, keys: 2, tools: 1, queue: 1 });
    expect(await callOne(on, "cleanup_llm_requests")).toBe("0");
  });

  test("takes the retention from its argument, else from the setting", async () => {
    await backdated(20, 20);
    expect(await callOne(on, "cleanup_llm_requests")).toBe("0");
    await database.query("update llmq.settings set value = '15' where name = 'retention_days'");
    expect(await callOne(on, "cleanup_llm_requests", { retention: "21 days" })).toBe("0");
    expect(await callOne(on, "cleanup_llm_requests")).toBe("1");
    expect(await codeOf(call(on, "cleanup_llm_requests", { retention: "-1 day" }))).toBe("LQ001");
    expect(await codeOf(call(on, "cleanup_llm_requests", { max_rows: 0 }))).toBe("LQ001");
  });

  test("drops a week that is over as a whole, and counts its requests", async () => {
    const { week: old, middle } = await oldWeek(20);
    for (const day of [-1, 0, 1]) await backdated(middle + day, 100);
    const before = await weeksOf("results");
    expect(await left()).toMatchObject({ requests: 3, results: 3 });
    expect(await callOne(on, "cleanup_llm_requests")).toBe("3");
    for (const table of ["requests", "results", "attempts"]) expect(await weeksOf(table)).not.toContain(old);
    expect(await weeksOf("requests")).toHaveLength(before.length - 1);
    expect(await left()).toEqual({ requests: 0, results: 0, attempts: 0, keys: 0, tools: 0, queue: 0 });
  });

  test("keeps a week with an unfinished or a lately finished request, and deletes the others of it", async () => {
    const { week, middle } = await oldWeek(20);
    const waiting = await backdated(middle);
    const late = await backdated(middle, 3);
    await backdated(middle, middle - 1);
    expect(await callOne(on, "cleanup_llm_requests")).toBe("1");
    expect(await weeksOf("results")).toContain(week);
    expect((await read(on, waiting)).status).toBe("pending");
    expect((await read(on, late)).status).toBe("completed");
    await callOne(on, "cancel_llm_request", { request_id: waiting });
    expect(await callOne(on, "cleanup_llm_requests", { retention: "0 s" })).toBe("2");
    expect(await weeksOf("results")).not.toContain(week);
  });

  test("deletes at most max_rows at a time, the oldest first", async () => {
    const ids: string[] = [];
    for (const day of [101, 105, 103, 102, 104]) ids.push(await backdated(day, day));
    expect(await callOne(on, "cleanup_llm_requests", { max_rows: 2 })).toBe("2");
    expect(await read(on, ids[1] as string)).toBeUndefined();
    expect(await read(on, ids[4] as string)).toBeUndefined();
    expect(await read(on, ids[0] as string)).toBeDefined();
    expect(await callOne(on, "cleanup_llm_requests", { max_rows: 2 })).toBe("2");
    expect(await callOne(on, "cleanup_llm_requests", { max_rows: 2 })).toBe("1");
    expect(await callOne(on, "cleanup_llm_requests", { max_rows: 2 })).toBe("0");
  });

  test("frees the keys of what it removed", async () => {
    const id = await backdated(100, 100);
    expect(await submit(on, { agent_id: "old", idempotency_key: id })).toBe(id);
    await callOne(on, "cleanup_llm_requests");
    expect(await submit(on, { agent_id: "old", idempotency_key: id })).not.toBe(id);
  });

  test("leaves a week alone that somebody reads for long, and goes on with the rest", async () => {
    const { week, middle } = await oldWeek(20);
    await backdated(middle, middle - 1);
    const reader: pg.Client = await database.connect();
    await reader.query("begin; select count(*) from llmq.llm_requests");
    const client = await database.connect();
    await callOne(client, "cleanup_llm_requests");
    expect(await weeksOf("results")).toContain(week);
    await reader.query("rollback");
    await callOne(client, "cleanup_llm_requests");
    expect(await weeksOf("results")).not.toContain(week);
  });

  test("a request of that week that is retried at this moment is kept with its prompt", async () => {
    const { week, middle } = await oldWeek(20);
    const id = await backdated(middle, middle - 1);
    await database.query("update llmq.results set status = 'cancelled' where id = $1", [id]);
    await database.query(
      `update llmq.requests set messages = '[{"role": "user", "content": "kept"}]' where id = $1`,
      [id],
    );
    const retrier = await database.connect();
    await retrier.query("begin");
    expect(await callOne(retrier, "retry_llm_request", { request_id: id })).toBe(true);
    const cleaning = callOne(on, "cleanup_llm_requests");
    await cleaning;
    await retrier.query("commit");
    await callOne(on, "cleanup_llm_requests");
    expect(await weeksOf("requests")).toContain(week);
    expect(await read(on, id)).toMatchObject({
      status: "pending",
      messages: [{ role: "user", content: "kept" }],
    });
  });
});
