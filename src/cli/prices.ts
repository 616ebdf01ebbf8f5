import { importPrices } from "../database/import-prices.ts";
import type { Command } from "./context.ts";
import { withDatabase } from "./database.ts";
import { count, counted } from "./format.ts";
import { table } from "./terminal.ts";

export type PricesOptions = { import?: boolean; json?: boolean };

/** US dollars per million tokens; `source` is null for a model without a price, and all after it too. */
type Price = {
  model: string;
  provider: string;
  model_id: string;
  source: string | null;
  min_input_tokens: number | null;
  input_per_million: number | null;
  cached_input_per_million: number | null;
  output_per_million: number | null;
  reasoning_per_million: number | null;
};

const PRICES = `
select model, provider, model_id, source, min_input_tokens, input_per_million::float8, cached_input_per_million::float8,
  output_per_million::float8, reasoning_per_million::float8
from llmq.current_prices
where provider_kind not in ('sim', 'external')
order by model, min_input_tokens`;

const HEADER = ["model", "input", "cached", "output", "reasoning", "from", "source"];

/** `llmq prices`: what the configured models cost now. */
export const runPrices: Command<PricesOptions> = async (context, options) => {
  const { out, err } = context;
  return await withDatabase(context, async ({ pool }) => {
    if (options.import === true) {
      const changed = await importPrices(pool);
      err.line(changed === 0 ? "All prices were up to date." : `${counted(changed, "price")} changed.`);
    }
    const { rows } = await pool.query<Price>(PRICES);
    if (options.json === true) {
      out.line(JSON.stringify(rows, null, 2));
      return 0;
    }
    if (rows.length === 0) {
      out.line("There is no model that costs anything.");
      return 0;
    }
    out.line("US dollars per million tokens:");
    for (const line of table(out, HEADER, rows.map(cells), [1, 2, 3, 4, 5])) out.line(line);
    const without = rows.find((row) => row.source === null);
    if (without !== undefined) {
      out.line();
      out.line(`Set a missing one: select llmq.configure_price('${without.model}', input, output);`);
    }
    return 0;
  });
};

function cells(price: Price): string[] {
  if (price.source === null) return [price.model, "", "", "", "", "", "no price"];
  return [
    price.model,
    dollars(price.input_per_million),
    dollars(price.cached_input_per_million ?? price.input_per_million),
    dollars(price.output_per_million),
    dollars(price.reasoning_per_million ?? price.output_per_million),
    price.min_input_tokens ? `${count(price.min_input_tokens)} tokens` : "",
    price.source,
  ];
}

/** "1.25", "0.075": as many digits as the price has, two at least. */
function dollars(value: number | null): string {
  return value === null
    ? ""
    : value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 6 });
}
