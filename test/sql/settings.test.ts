import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { codeOf } from "./support.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const set = (name: string, value: unknown) =>
  database.query("update llmq.settings set value = $2 where name = $1 returning name", [
    name,
    JSON.stringify(value),
  ]);

const TIMEOUTS = { good: [1, 0.5, 86_400], bad: [0, -1, 86_401, 1e300, "10 minutes", null, true, [1]] };
const COUNTS = { good: [1, 1000], bad: [0, -1, 1.5, 1001, "8", null, {}] };
const INTERVALS = {
  good: ["0", "20 milliseconds", "1 year"],
  bad: ["5x", "-1 second", "2 years", 5, null, ""],
};

test.each([
  ["max_attempts", COUNTS],
  ["max_crashes", COUNTS],
  ["call_timeout", TIMEOUTS],
  ["first_byte_timeout", TIMEOUTS],
  ["connect_timeout", TIMEOUTS],
  ["retry_base", INTERVALS],
  ["retry_max", INTERVALS],
  ["ageing", INTERVALS],
  ["breaker_failures", { good: [1, 1_000_000], bad: [0, 2.5, "5", null] }],
  ["validation_retries", { good: [0, 10], bad: [-1, 11, 0.5, "1", null] }],
  ["retention_days", { good: [1, 36_500], bad: [0, 40_000, "90", null] }],
  ["refuse_above", { good: [null, 1, 1_000_000], bad: [0, "many", false] }],
  ["pgmq", { good: [true, false], bad: ["true", 1, null] }],
  ["pgmq_payload", { good: ["reference", "full"], bad: ["all", true, null] }],
])("%s takes what it can use, and refuses the rest where it is made", async (name, { good, bad }) => {
  for (const value of good) expect(await set(name, value), `${value}`).toEqual([{ name }]);
  for (const value of bad) expect(await codeOf(set(name, value)), `${value}`).toBe("23514");
});

test("every setting is tested above, and there are no others", async () => {
  const { length } = await database.query("select from llmq.settings");
  expect(length).toBe(14);
  const unknown = database.query(
    "insert into llmq.settings (name, value, description) values ('retry_bass', '1', 'typing error')",
  );
  expect(await codeOf(unknown)).toBe("23514");
});
