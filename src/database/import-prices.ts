/** Prices of the configured models, brought from the package genai-prices into `llmq.prices`. */
import type { Pool } from "pg";
import { modelPrices, type PricedModel } from "./model-prices.ts";

const MODELS = `
select m.name, m.model_id as "modelId", p.kind as "providerKind", p.base_url as "baseUrl"
from llmq.models as m join llmq.providers as p on p.name = m.provider
where p.kind not in ('sim', 'external')
order by m.name`;

/**
 * Replaces the imported prices by those of the package as it is installed, and keeps manual ones. Needs no
 * network. How many rows were added, changed or removed: 0 when all was there.
 */
export async function importPrices(pool: Pick<Pool, "query">): Promise<number> {
  return await writePrices(pool, await readModels(pool));
}

/** Imports when models were added or changed since its last call; at the first call always. Null: nothing to do. */
export function createPriceImport(pool: Pick<Pool, "query">): () => Promise<number | null> {
  let imported: string | null = null;
  return async () => {
    const models = await readModels(pool);
    const now = JSON.stringify(models);
    if (now === imported) return null;
    const changed = await writePrices(pool, models);
    imported = now;
    return changed;
  };
}

async function readModels(pool: Pick<Pool, "query">): Promise<PricedModel[]> {
  return (await pool.query<PricedModel>(MODELS)).rows;
}

async function writePrices(pool: Pick<Pool, "query">, models: PricedModel[]): Promise<number> {
  const { rows } = await pool.query<{ changed: number }>("select llmq.import_prices($1) as changed", [
    JSON.stringify(models.flatMap(modelPrices)),
  ]);
  return rows[0]?.changed ?? 0;
}
