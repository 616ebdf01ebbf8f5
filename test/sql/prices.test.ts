import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import {
  call,
  callOne,
  codeOf,
  configureModels,
  errorOf,
  type Queryable,
  queryable,
  read,
  submit,
} from "./support.ts";

let database: TestDatabase;
let on: Queryable;

beforeAll(async () => {
  database = await createTestDatabase();
  await configureModels(database);
  on = queryable(database);
});
afterAll(() => database.drop());
beforeEach(() => database.query("delete from llmq.prices"));

type Call = {
  at?: string;
  input?: number | null;
  output?: number | null;
  cached?: number;
  reasoning?: number;
};

/** What llmq.call_cost says a call to the model `first` costs, in US dollars. */
async function cost(of: Call = {}): Promise<number | null> {
  const { at = "2026-11-23T12:00:00Z", input = 1_000_000, output = 0, cached, reasoning } = of;
  const [row] = await database.query<{ cost: string | null }>(
    "select llmq.call_cost(lane, $1, $2, $3, $4, $5) as cost from llmq.models where name = 'first'",
    [at, input, output, cached, reasoning],
  );
  return row?.cost === null || row === undefined ? null : Number(row.cost);
}

function price(named: Record<string, unknown> = {}): Promise<unknown> {
  return call(on, "configure_price", {
    model: "first",
    input_per_million: 1,
    output_per_million: 10,
    ...named,
  });
}

function importedPrice(input: number): Promise<unknown> {
  return database.query(
    "insert into llmq.prices (model, source, input_per_million, output_per_million) values ('first', 'genai-prices', $1, 0)",
    [input],
  );
}

describe("call_cost", () => {
  test("is null without a price, and for a lane that does not exist", async () => {
    expect(await cost()).toBeNull();
    expect(await callOne(on, "call_cost", { lane: -1, at: "now", input_tokens: 1, output_tokens: 1 })).toBe(
      null,
    );
  });

  test("takes cached tokens out of the input, and charges reasoning as output", async () => {
    await price({ cached_input_per_million: 0.1 });
    expect(await cost({ input: 300, output: 20, cached: 200, reasoning: 15 })).toBe(0.00032);
  });

  test("charges cached tokens as input and reasoning at its own price where the row says so", async () => {
    await price({ reasoning_per_million: 30 });
    expect(await cost({ input: 300, output: 20, cached: 200, reasoning: 15 })).toBe(0.0008);
  });

  test("is never made negative by a part that is larger than its whole", async () => {
    await price({ cached_input_per_million: 0, reasoning_per_million: 0 });
    expect(await cost({ input: 1, output: 1, cached: 1000, reasoning: 1000 })).toBe(0);
  });

  test("takes tokens that are not known for none", async () => {
    await price();
    expect(await cost({ input: null, output: 100 })).toBe(0.001);
    expect(await cost({ input: 100, output: null })).toBe(0.0001);
  });

  test("uses the tier that the whole input reaches", async () => {
    await price();
    await price({ min_input_tokens: 200_001, input_per_million: 2, output_per_million: 20 });
    expect(await cost({ input: 200_000, output: 1000 })).toBe(0.21);
    expect(await cost({ input: 200_001, output: 0 })).toBe(0.400002);
    expect(await cost({ input: 300_000, output: 1000, cached: 300_000 })).toBe(0.62);
  });

  test("changes with the date of the call, and a price without tiers ends the tiers before it", async () => {
    await price({ valid_from: "2026-06-01T00:00:00Z" });
    await price({ valid_from: "2026-06-01T00:00:00Z", min_input_tokens: 200_001, input_per_million: 2 });
    await price({ valid_from: "2026-07-01T00:00:00Z", input_per_million: 0.5 });
    expect(await cost({ at: "2026-05-31T23:59:59Z" })).toBeNull();
    expect(await cost({ at: "2026-06-01T00:00:00Z" })).toBe(2);
    expect(await cost({ at: "2026-06-30T23:59:59Z" })).toBe(2);
    expect(await cost({ at: "2026-07-01T00:00:00Z" })).toBe(0.5);
  });

  test("knows prices by the time of day, in UTC, from the first to before the last moment", async () => {
    await price();
    await price({ utc_from: "01:00", utc_until: "04:00", input_per_million: 4 });
    await price({ utc_from: "00:00", utc_until: "00:30", input_per_million: 3 });
    expect(await cost({ at: "2026-11-23T02:59:59+02:00" })).toBe(1);
    expect(await cost({ at: "2026-11-23T03:00:00+02:00" })).toBe(4);
    expect(await cost({ at: "2026-11-23T04:00:00Z" })).toBe(1);
    expect(await cost({ at: "2026-11-23T00:29:59Z" })).toBe(3);
    expect(await cost({ at: "2026-11-23T23:59:59.999Z" })).toBe(1);
  });

  test("prefers a manual price to an imported one, from the moment when it holds", async () => {
    await importedPrice(7);
    expect(await cost()).toBe(7);
    await price({ valid_from: "2026-11-01T00:00:00Z" });
    expect(await cost({ at: "2026-10-31T00:00:00Z" })).toBe(7);
    expect(await cost()).toBe(1);
  });
});

describe("configure_price", () => {
  const rows = () =>
    database.query(
      "select valid_from::text, input_per_million::float8, output_per_million::float8, cached_input_per_million::float8 from llmq.prices order by valid_from",
    );

  test("keeps what an argument leaves out, and changes the price that holds now unless a date is given", async () => {
    await price({ cached_input_per_million: 0.1 });
    await call(on, "configure_price", { model: "first", input_per_million: 2 });
    expect(await rows()).toEqual([
      {
        valid_from: "-infinity",
        input_per_million: 2,
        output_per_million: 10,
        cached_input_per_million: 0.1,
      },
    ]);
    await price({ valid_from: "2020-01-01T00:00:00Z" });
    await price({ valid_from: "2999-01-01T00:00:00Z" });
    await call(on, "configure_price", { model: "first", output_per_million: 5 });
    expect((await rows()).map((row) => row.output_per_million)).toEqual([10, 5, 10]);
  });

  test("wants both prices for a new one, and says what is wrong with the others", async () => {
    const refused = [
      { output_per_million: undefined },
      { input_per_million: -1 },
      { output_per_million: "NaN" },
      { cached_input_per_million: "infinity" },
      { min_input_tokens: -1 },
      { min_input_tokens: null },
      { utc_from: "04:00", utc_until: "01:00" },
    ];
    for (const named of refused) expect(await errorOf(price(named))).toMatchObject({ code: "LQ001" });
    expect(await codeOf(price({ model: "nobody" }))).toBe("LQ003");
    expect(await rows()).toEqual([]);
  });

  test("two at once make one row", async () => {
    await Promise.all(Array.from({ length: 8 }, () => price()));
    expect(await rows()).toHaveLength(1);
  });

  test("a price follows its model's name, and goes with it", async () => {
    await database.query("select llmq.configure_model('passing', 'sim')");
    await price({ model: "passing" });
    await database.query("update llmq.models set name = 'passed' where name = 'passing'");
    expect(await database.query("select model from llmq.prices")).toEqual([{ model: "passed" }]);
    await database.query("delete from llmq.models where name = 'passed'");
    expect(await rows()).toEqual([]);
  });
});

describe("the ledger", () => {
  test("prices each call by the time it began, unless the worker reports a cost, and adds them up", async () => {
    await price({ valid_from: "2026-01-01T00:00:00Z" });
    await price({ valid_from: "2026-06-01T00:00:00Z", input_per_million: 2 });
    const id = await submit(on, { model: "first" });
    await callOne(on, "mark_processing", { request_id: id });
    const used = { input_tokens: 1000, output_tokens: 100 };
    await call(on, "mark_completed", {
      request_id: id,
      response: "x",
      calls: [
        { outcome: "invalid", started_at: "2026-05-31T00:00:00Z", ...used },
        { outcome: "invalid", started_at: "2026-06-01T00:00:00Z", ...used },
        { outcome: "invalid", cost_usd: 0.5, ...used },
        { outcome: "transient", started_at: "2026-06-01T00:00:00Z" },
        { outcome: "answered", ...used },
      ],
    });
    const attempts = await database.query<{ cost_usd: string | null }>(
      "select cost_usd from llmq.attempts where request_id = $1 order by number",
      [id],
    );
    expect(attempts.map((row) => row.cost_usd)).toEqual(["0.002", "0.003", "0.5", null, "0.003"]);
    expect(await read(on, id)).toMatchObject({ status: "completed", cost_usd: "0.508" });
  });

  test("a failed call is priced with the model that was asked, not with the next one", async () => {
    await price({ model: "second", input_per_million: 5 });
    const id = await submit(on);
    const claimId = await callOne(on, "mark_processing", { request_id: id });
    const [answer] = await call(on, "fail_llm_requests", {
      failures: [
        {
          request_id: id,
          claim_id: claimId,
          error_class: "configuration",
          error_message: "no",
          calls: [{ outcome: "configuration", input_tokens: 10 }],
        },
      ],
    });
    expect(answer).toMatchObject({ applied: true, status: "pending" });
    expect(
      await database.query("select model, cost_usd from llmq.attempts where request_id = $1", [id]),
    ).toEqual([{ model: "first", cost_usd: null }]);
    expect((await read(on, id)).model).toBe("second");
    await callOne(on, "mark_processing", { request_id: id });
    await call(on, "mark_completed", {
      request_id: id,
      response: "x",
      calls: [{ outcome: "answered", input_tokens: 10 }],
    });
    expect(await read(on, id)).toMatchObject({ model: "second", cost_usd: "0.00005" });
  });
});
