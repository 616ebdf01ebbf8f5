/**
 * What the package genai-prices knows about a model, as rows for `llmq.import_prices`. Its own look-up finds the
 * model (its match clauses are more than patterns) and the price of a moment, so it is asked for each moment
 * and each number of tokens from which a price may hold.
 * https://github.com/pydantic/genai-prices
 */
import { calcPrice, type ModelInfo, type ModelPrice, type PriceOptions } from "@pydantic/genai-prices";

export type PricedModel = {
  /** In `llmq.models`. */
  name: string;
  /** What the provider calls it. */
  modelId: string;
  providerKind: string;
  baseUrl: string | null;
};

/** US dollars per million tokens, in the columns of `llmq.prices`. */
export type PriceRow = {
  model: string;
  valid_from: string;
  utc_from: string;
  utc_until: string;
  min_input_tokens: number;
  input_per_million: number;
  output_per_million: number;
  cached_input_per_million: number | null;
  reasoning_per_million: number | null;
};

const VENDORS = new Set(["openai", "anthropic", "google"]);
const DAY_MS = 86_400_000;

/**
 * All prices of a model; none when the package does not know it, or when tokens are not all that it charges for.
 * A base URL says by itself whose prices hold: behind one that the package does not know anything may answer.
 */
export function modelPrices(model: PricedModel): PriceRow[] {
  const { name, modelId, providerKind, baseUrl } = model;
  if (baseUrl === null && !VENDORS.has(providerKind)) return [];
  const where: PriceOptions = baseUrl === null ? { providerId: providerKind } : { providerApiUrl: baseUrl };
  const priceOf = (at: number) => calcPrice({}, modelId, { ...where, timestamp: new Date(at) });
  const known = priceOf(0)?.model;
  if (known === undefined) return [];
  return startDates(known).flatMap((date) =>
    hoursOf(known).flatMap(({ fromMs, untilMs }) => {
      const price = priceOf((date ?? 0) + fromMs)?.model_price;
      if (price === undefined || !isByTokens(price)) return [];
      const valid_from = date === null ? "-infinity" : new Date(date).toISOString();
      const hours = { utc_from: timeOfDay(fromMs), utc_until: timeOfDay(untilMs) };
      return tierStarts(price).map((tokens) => ({
        model: name,
        valid_from,
        ...hours,
        min_input_tokens: tokens,
        input_per_million: perMillion(price, "input_mtok", tokens) ?? 0,
        output_per_million: perMillion(price, "output_mtok", tokens) ?? 0,
        cached_input_per_million: perMillion(price, "cache_read_mtok", tokens),
        reasoning_per_million: perMillion(price, "output_reasoning_mtok", tokens),
      }));
    }),
  );
}

const TOKEN_PRICES = ["input_mtok", "output_mtok", "cache_read_mtok", "output_reasoning_mtok"] as const;

/** Chat models have both prices; a fee per request would be most of the cost and is not in the tokens. */
function isByTokens(price: ModelPrice): boolean {
  return (
    price.input_mtok !== undefined && price.output_mtok !== undefined && price.requests_kcount === undefined
  );
}

function constraintsOf({ prices }: ModelInfo) {
  return Array.isArray(prices) ? prices.map((one) => one.constraint).filter((one) => one !== undefined) : [];
}

/** Milliseconds since 1970, as `Date` counts; null: from ever. */
function startDates(model: ModelInfo): (number | null)[] {
  const dates = constraintsOf(model).flatMap((one) =>
    one.type === "start_date" ? [Date.parse(one.start_date)] : [],
  );
  return [null, ...new Set(dates)];
}

/** The parts of a day between the times at which the price may change. */
function hoursOf(model: ModelInfo): { fromMs: number; untilMs: number }[] {
  const times = constraintsOf(model).flatMap((one) =>
    one.type === "time_of_date" ? [msOfDay(one.start_time), msOfDay(one.end_time)] : [],
  );
  const edges = [...new Set([0, ...times])].sort((one, other) => one - other);
  return edges.map((fromMs, index) => ({ fromMs, untilMs: edges[index + 1] ?? DAY_MS }));
}

/** Of "16:30:00Z" or "00:30:00+08:00", in UTC. */
function msOfDay(time: string): number {
  return (Date.parse(`1970-01-01T${time}`) + DAY_MS) % DAY_MS;
}

/** "16:30:00"; the end of a day is "24:00:00", as Postgres has it. */
function timeOfDay(ms: number): string {
  return ms === DAY_MS ? "24:00:00" : new Date(ms).toISOString().slice(11, 19);
}

/** The package's tiers hold above their start, ours from it on. */
function tierStarts(price: ModelPrice): number[] {
  const starts = TOKEN_PRICES.flatMap((key) => {
    const value = price[key];
    return typeof value === "object" ? value.tiers.map((tier) => tier.start + 1) : [];
  });
  return [...new Set([0, ...starts])].sort((one, other) => one - other);
}

function perMillion(price: ModelPrice, key: (typeof TOKEN_PRICES)[number], tokens: number): number | null {
  const value = price[key];
  if (value === undefined || typeof value === "number") return value ?? null;
  const reached = value.tiers.filter((tier) => tokens > tier.start);
  const highest = reached.reduce((one, other) => (other.start > one.start ? other : one), {
    start: -1,
    price: value.base,
  });
  return highest.price;
}
