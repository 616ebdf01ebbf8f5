import type { Pool } from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { addFirstModels } from "../../src/database/first-models.ts";
import { importPrices } from "../../src/database/import-prices.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const ROUTES = "select complexity, models from llmq.routes order by complexity";

let database: TestDatabase;
let pool: Pool;
beforeEach(async () => {
  database = await createTestDatabase();
  pool = database.pool();
});
afterEach(async () => {
  await database.drop();
});

test("every key found gives its vendor's models, and each complexity asks them in the order of the keys", async () => {
  const added = await addFirstModels(pool, ["openai", "anthropic", "google"]);
  expect(added).toHaveLength(9);
  const { rows } = await pool.query(ROUTES);
  expect(rows.map((row) => row.complexity)).toEqual(["complex", "medium", "simple"]);
  for (const { models } of rows) {
    const asked = await pool.query(
      "select m.provider from unnest($1::text[]) with ordinality as r(name, n) join llmq.models as m using (name) order by n",
      [models],
    );
    expect(asked.rows.map((row) => row.provider)).toEqual(["openai", "anthropic", "google"]);
  }
});

test("a budget can count them: all but an alias have an imported price", async () => {
  const added = await addFirstModels(pool, ["openai", "anthropic", "google"]);
  await importPrices(pool);
  const { rows } = await pool.query("select distinct model from llmq.prices");
  const priced = rows.map((row) => row.model);
  expect(added.filter((model) => !priced.includes(model))).toEqual(["gemini-pro-latest"]);
});

test("what is there stays as it is, and several that start at once add them once", async () => {
  const all = await Promise.all(Array.from({ length: 5 }, () => addFirstModels(pool, ["openai"])));
  expect(all.filter((added) => added.length > 0)).toHaveLength(1);
  const { rows: before } = await pool.query(ROUTES);
  expect(await addFirstModels(pool, ["anthropic"])).toEqual([]);
  expect((await pool.query(ROUTES)).rows).toEqual(before);
});

test("without a key nothing is added", async () => {
  expect(await addFirstModels(pool, [])).toEqual([]);
  expect((await pool.query(ROUTES)).rows).toEqual([]);
});
