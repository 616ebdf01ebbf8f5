import { calcPrice, findProvider } from "@pydantic/genai-prices";
import type { Pool } from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createPriceImport, importPrices } from "../../src/database/import-prices.ts";
import { modelPrices, type PricedModel } from "../../src/database/model-prices.ts";
import { codeOf } from "../sql/support.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

const deepSeek = "https://api.deepseek.com/v1";

function model(modelId: string, over: Partial<PricedModel> = {}): PricedModel {
  return { name: modelId, modelId, providerKind: "openai", baseUrl: null, ...over };
}

describe("modelPrices", () => {
  test("finds a model of a vendor, also by a dated name, and gives one row for one price", () => {
    for (const id of ["gpt-4.1-mini", "gpt-4.1-mini-2025-04-14"]) {
      expect(modelPrices(model(id))).toEqual([
        {
          model: id,
          valid_from: "-infinity",
          utc_from: "00:00:00",
          utc_until: "24:00:00",
          min_input_tokens: 0,
          input_per_million: 0.4,
          output_per_million: 1.6,
          cached_input_per_million: 0.1,
          reasoning_per_million: null,
        },
      ]);
    }
  });

  test("a base URL decides whose prices hold, and one that is not known has none", () => {
    const compatible = { providerKind: "openai-compatible" };
    expect(modelPrices(model("gpt-4.1-mini", { baseUrl: "https://api.openai.com/v1" }))).toHaveLength(1);
    expect(modelPrices(model("deepseek-v4-pro", { ...compatible, baseUrl: deepSeek }))).not.toEqual([]);
    expect(modelPrices(model("gpt-4.1-mini", { baseUrl: "http://127.0.0.1:8000/v1" }))).toEqual([]);
    expect(modelPrices(model("gpt-4.1-mini", { ...compatible, baseUrl: deepSeek }))).toEqual([]);
  });

  test("has nothing for unknown models, for kinds that cost nothing, and where tokens are not all that costs", () => {
    expect(modelPrices(model("my-own-model"))).toEqual([]);
    expect(modelPrices(model("gpt-4.1-mini", { providerKind: "sim" }))).toEqual([]);
    expect(modelPrices(model("text-embedding-3-small"))).toEqual([]);
    expect(modelPrices(model("sonar", { baseUrl: "https://api.perplexity.ai" }))).toEqual([]);
  });

  test("a day of several prices is cut into parts that cover it", () => {
    const rows = modelPrices(model("deepseek-v4-pro", { baseUrl: deepSeek }));
    const dates = new Set(rows.map((row) => row.valid_from));
    expect(dates.size).toBeGreaterThan(1);
    for (const date of dates) {
      const day = rows.filter((row) => row.valid_from === date);
      expect(day.length).toBeGreaterThan(1);
      expect(day[0]?.utc_from).toBe("00:00:00");
      expect(day.at(-1)?.utc_until).toBe("24:00:00");
      for (const [index, row] of day.slice(1).entries()) expect(row.utc_from).toBe(day[index]?.utc_until);
    }
  });
});

/** Whose prices are compared: the vendors by their kind, and some compatible ones by their address. */
const PROVIDERS = {
  openai: null,
  anthropic: null,
  google: null,
  deepseek: deepSeek,
  mistral: "https://api.mistral.ai/v1",
  "x-ai": "https://api.x.ai/v1",
  perplexity: "https://api.perplexity.ai",
};

describe("in the database", () => {
  let database: TestDatabase;
  let pool: Pool;

  beforeAll(async () => {
    database = await createTestDatabase();
    pool = database.pool();
  });
  afterAll(() => database.drop());
  beforeEach(async () => {
    await database.query(`
      delete from llmq.models where name <> 'external';
      delete from llmq.providers where name <> 'external';
      select llmq.configure_provider('openai', 'openai'), llmq.configure_provider('sim', 'sim');
      select llmq.configure_model('small', 'openai', 'gpt-4.1-mini'), llmq.configure_model('sim', 'sim');`);
  });

  const rows = () =>
    database.query(
      "select model, source, input_per_million::float8 as input from llmq.prices order by 1, 2 desc",
    );

  test("every model of the package costs what the package says, at any time, with any number of tokens", async () => {
    const priced = Object.entries(PROVIDERS).flatMap(([providerId, baseUrl]) =>
      (findProvider({ providerId })?.models ?? []).flatMap(({ id }) => {
        const name = `${providerId} ${id}`;
        const kind = baseUrl === null ? providerId : "openai-compatible";
        const prices = modelPrices({ name, modelId: id, providerKind: kind, baseUrl });
        return prices.length > 0 ? [{ name, providerId, id, prices }] : [];
      }),
    );
    const all = priced.flatMap(({ prices }) => prices);
    expect(priced.length).toBeGreaterThan(100);
    expect(all.some((row) => row.min_input_tokens > 0)).toBe(true);
    expect(all.some((row) => row.valid_from !== "-infinity")).toBe(true);
    expect(all.some((row) => row.reasoning_per_million !== null)).toBe(true);
    await pool.query("select llmq.configure_model(name, 'openai') from unnest($1::text[]) as name", [
      priced.map(({ name }) => name),
    ]);
    await pool.query("select llmq.import_prices($1)", [JSON.stringify(all)]);
    const times = ["2024-01-01T00:00Z", "2025-06-10T00:00Z", "2026-08-17T03:59:59Z", "2027-06-01T12:00Z"];
    const tokens = [
      { input_tokens: 1000, output_tokens: 500, cache_read_tokens: 0, output_reasoning_tokens: 100 },
      { input_tokens: 200_000, output_tokens: 500, cache_read_tokens: 150_000, output_reasoning_tokens: 0 },
      { input_tokens: 200_001, output_tokens: 500, cache_read_tokens: 150_000, output_reasoning_tokens: 0 },
      { input_tokens: 900_000, output_tokens: 500, cache_read_tokens: 0, output_reasoning_tokens: 0 },
    ];
    const calls = priced.flatMap(({ name, providerId, id }) =>
      times.flatMap((at) => tokens.map((usage) => ({ name, providerId, id, at, usage }))),
    );
    const computed = await database.query<{ cost: number }>(
      `select llmq.call_cost(m.lane, c.at, u.input_tokens, u.output_tokens, u.cache_read_tokens, u.output_reasoning_tokens)::float8 as cost
       from jsonb_array_elements($1) with ordinality as j (call, place)
       cross join lateral jsonb_to_record(j.call) as c (name text, at timestamptz, usage jsonb)
       cross join lateral jsonb_to_record(c.usage) as u (input_tokens int, output_tokens int, cache_read_tokens int, output_reasoning_tokens int)
       join llmq.models as m on m.name = c.name
       order by j.place`,
      [JSON.stringify(calls)],
    );
    const differing = calls.filter(({ providerId, id, at, usage }, index) => {
      const price = calcPrice(usage, id, { providerId, timestamp: new Date(at) })?.total_price;
      return price === undefined || Math.abs(price - (computed[index]?.cost ?? Number.NaN)) > 1e-9;
    });
    expect(computed).toHaveLength(calls.length);
    expect(differing).toEqual([]);
  });

  test("an import adds, changes and removes imported prices, keeps manual ones, and changes nothing when repeated", async () => {
    expect(await importPrices(pool)).toBe(1);
    expect(await importPrices(pool)).toBe(0);
    expect(await rows()).toEqual([{ model: "small", source: "genai-prices", input: 0.4 }]);
    await database.query("select llmq.configure_price('small', 1, 2)");
    await database.query("update llmq.prices set input_per_million = 9 where source = 'genai-prices'");
    expect(await importPrices(pool)).toBe(1);
    expect(await rows()).toEqual([
      { model: "small", source: "manual", input: 1 },
      { model: "small", source: "genai-prices", input: 0.4 },
    ]);
    await database.query("select llmq.configure_model('small', model_id => 'mine')");
    expect(await importPrices(pool)).toBe(1);
    expect(await rows()).toEqual([{ model: "small", source: "manual", input: 1 }]);
  });

  test("imports at the same time agree", async () => {
    const changes = await Promise.all(Array.from({ length: 6 }, () => importPrices(pool)));
    expect(changes.reduce((sum, changed) => sum + changed, 0)).toBe(1);
  });

  test("an orchestrator imports when models were added or changed, and not otherwise", async () => {
    const importNews = createPriceImport(pool);
    expect(await importNews()).toBe(1);
    expect(await importNews()).toBeNull();
    await database.query("select llmq.configure_model('large', 'openai', 'gpt-4.1')");
    expect(await importNews()).toBe(1);
    await database.query("select llmq.configure_provider('openai', base_url => 'http://127.0.0.1:9/v1')");
    expect(await importNews()).toBe(2);
    expect(await rows()).toEqual([]);
  });

  test("what is no list of prices is refused, and nothing changes", async () => {
    await importPrices(pool);
    const row = { model: "small", input_per_million: 1, output_per_million: 1 };
    const refused = [
      null,
      {},
      ["small"],
      [{ ...row, output_per_million: undefined }],
      [{ ...row, input_per_million: -1 }],
      [{ ...row, input_per_million: "much" }],
      [{ ...row, valid_from: "someday" }],
      [row, row],
    ];
    for (const prices of refused) {
      const text = prices === null ? null : JSON.stringify(prices);
      expect(await codeOf(pool.query("select llmq.import_prices($1)", [text])), `${text}`).toBe("LQ001");
    }
    expect(await rows()).toEqual([{ model: "small", source: "genai-prices", input: 0.4 }]);
  });

  test("current_prices has a row per tier that holds now, and one for a model without a price", async () => {
    await database.query(`
      select llmq.configure_price('small', 1, 2, valid_from => '2020-01-01'),
        llmq.configure_price('small', 3, 4, valid_from => '2020-01-01', min_input_tokens => 1000),
        llmq.configure_price('small', 5, 6, valid_from => '2019-01-01', min_input_tokens => 2000),
        llmq.configure_price('small', 7, 8, valid_from => '2999-01-01')`);
    const current = await database.query(
      "select model, source, min_input_tokens as tokens, input_per_million::float8 as input from llmq.current_prices where model <> 'external' order by 1, 3",
    );
    expect(current).toEqual([
      { model: "sim", source: null, tokens: null, input: null },
      { model: "small", source: "manual", tokens: 0, input: 1 },
      { model: "small", source: "manual", tokens: 1000, input: 3 },
    ]);
  });
});
