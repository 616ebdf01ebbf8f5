import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** First column of what a query answers: each rule below is a query for what breaks it. */
async function names(query: string): Promise<string[]> {
  return (await database.query<{ name: string }>(query)).map((row) => row.name);
}

test("every routine has a comment", async () => {
  expect(
    await names(`select oid::regprocedure::text as name from pg_proc
      where pronamespace = 'llmq'::regnamespace and obj_description(oid, 'pg_proc') is null`),
  ).toEqual([]);
});

test("every table, view, sequence and type has a comment", async () => {
  expect(
    await names(`select oid::regclass::text as name from pg_class
      where relnamespace = 'llmq'::regnamespace and relkind in ('r', 'p', 'v', 'S') and not relispartition
        and obj_description(oid, 'pg_class') is null
        -- Sequences of identity columns belong to their tables.
        and not exists (select from pg_depend where objid = pg_class.oid and deptype = 'i' and relkind = 'S')`),
  ).toEqual([]);
  expect(
    await names(`select t.oid::regtype::text as name from pg_type as t left join pg_class as c on c.oid = t.typrelid
      where t.typnamespace = 'llmq'::regnamespace and (t.typtype = 'd' or c.relkind = 'c')
        and coalesce(obj_description(t.oid, 'pg_type'), obj_description(c.oid, 'pg_class')) is null`),
  ).toEqual([]);
});

test("nothing is granted to PUBLIC", async () => {
  expect(
    await names(`
      select p.oid::regprocedure::text as name
      from pg_proc as p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
      where p.pronamespace = 'llmq'::regnamespace and a.grantee = 0
      union all
      select c.oid::regclass::text
      from pg_class as c, aclexplode(c.relacl) as a
      where c.relnamespace = 'llmq'::regnamespace and a.grantee = 0
      union all
      select t.oid::regtype::text
      from pg_type as t left join pg_class as c on c.oid = t.typrelid,
        aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) as a
      where t.typnamespace = 'llmq'::regnamespace and (t.typtype = 'd' or c.relkind = 'c') and a.grantee = 0
      union all
      select n.nspname from pg_namespace as n, aclexplode(n.nspacl) as a where n.nspname = 'llmq' and a.grantee = 0`),
  ).toEqual([]);
});

test("every SECURITY DEFINER routine pins its search_path, with pg_temp last", async () => {
  expect(
    await names(`select oid::regprocedure::text as name from pg_proc
      where pronamespace = 'llmq'::regnamespace and prosecdef
        and not 'search_path=pg_catalog, pg_temp' = any (coalesce(proconfig, '{}'))`),
  ).toEqual([]);
});

test("no routine searches the caller's temporary schema first", async () => {
  expect(
    await names(`select oid::regprocedure::text as name from pg_proc
      where pronamespace = 'llmq'::regnamespace
        and exists (select from unnest(proconfig) as c where c like 'search_path=%' and c not like '%pg_temp')`),
  ).toEqual([]);
});

test("whoever turns a way of planning off turns JIT off too: before 18 the penalty for it starts the compiler", async () => {
  expect(
    await names(`select oid::regprocedure::text as name from pg_proc
      where pronamespace = 'llmq'::regnamespace
        and exists (select from unnest(proconfig) as c where c ~ '^enable_.*=off$') and not 'jit=off' = any (proconfig)`),
  ).toEqual([]);
});

test("every constraint is valid, and every index too", async () => {
  expect(
    await names(
      `select conname as name from pg_constraint where connamespace = 'llmq'::regnamespace and not convalidated`,
    ),
  ).toEqual([]);
  expect(
    await names(`select indexrelid::regclass::text as name from pg_index join pg_class on oid = indexrelid
      where relnamespace = 'llmq'::regnamespace and not indisvalid`),
  ).toEqual([]);
});

test("the narrow tables stay narrow: no jsonb, and text only where it is checked or short", async () => {
  expect(
    await names(`select attname as name from pg_attribute
      where attrelid in ('llmq.queue'::regclass, 'llmq.in_flight'::regclass) and attnum > 0 and not attisdropped
        and (atttypid::regtype in ('jsonb', 'json', 'bytea') or attstorage = 'm')`),
  ).toEqual([]);
});
