import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

test("no function has a mistake that shows without running it", async (context) => {
  const available = await database.query("select from pg_available_extensions where name = 'plpgsql_check'");
  if (available.length === 0) {
    return context.skip("this server has no plpgsql_check (Debian: postgresql-15-plpgsql-check)");
  }
  await database.query("create schema checker; create extension plpgsql_check schema checker");
  const found = await database.query<{ name: string; issue: string }>(
    `select p.oid::regprocedure::text as name, c.level || ': ' || c.message || coalesce(' (' || c.detail || ')', '')
       || ' in line ' || coalesce(c.lineno::text, '?') || coalesce(': ' || c.query, '') as issue
     from pg_proc as p
     join pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'llmq'
     join pg_language as l on l.oid = p.prolang and l.lanname = 'plpgsql'
     left join pg_trigger as t on t.tgfoid = p.oid
     cross join lateral checker.plpgsql_check_function_tb(
       p.oid, coalesce(t.tgrelid, 0), newtable => t.tgnewtable, oldtable => t.tgoldtable,
       extra_warnings => false, performance_warnings => false) as c
     where (p.prorettype <> 'trigger'::regtype or t.oid is not null)
       -- The extension pgmq is optional: calls of it are found when they run.
       and c.message !~ 'pgmq'
       -- A literal given to a variable, as in v_list jsonb := '[]'.
       and coalesce(c.detail, '') !~ '^cast "text" value'
       -- The planner computes calls of immutable functions ahead, ours that refuse input among them.
       and c.sqlstate is distinct from 'LQ001'
     order by 1, 2`,
  );
  expect(found.map(({ name, issue }) => `${name}: ${issue}`)).toEqual([]);
});
