/**
 * A database without models gets providers, models and routes for the API keys found at the first start,
 * so that a new user needs no configuration to make the first call. Nothing that exists is touched.
 */
import type { Pool } from "pg";
import { inTransaction } from "./transaction.ts";

export type ProviderKey = "openai" | "anthropic" | "google";

type Vendor = { apiKeyEnv: string /** simple, medium, complex */; models: [string, string, string] };

/**
 * Models that the vendors' packages name in November 2026, with a price in genai-prices; of Google's best they name
 * previews and an alias, and the alias outlives those. `llmq.configure_model` changes them.
 */
const VENDORS: Record<ProviderKey, Vendor> = {
  openai: { apiKeyEnv: "OPENAI_API_KEY", models: ["gpt-5.4-nano", "gpt-5.4-mini", "gpt-5.4"] },
  anthropic: {
    apiKeyEnv: "ANTHROPIC_API_KEY",
    models: ["claude-haiku-4-5", "claude-sonnet-5", "claude-opus-5"],
  },
  google: {
    apiKeyEnv: "GOOGLE_GENERATIVE_AI_API_KEY",
    models: ["gemini-3.5-flash-lite", "gemini-3.5-flash", "gemini-pro-latest"],
  },
};

const COMPLEXITIES = ["simple", "medium", "complex"] as const;

/**
 * The names of the models it added; none when the database has models or no key was found.
 * `keys`: the vendors whose key is set, in the order in which routes prefer them.
 */
export async function addFirstModels(pool: Pool, keys: ProviderKey[]): Promise<string[]> {
  return await inTransaction(pool, "begin", async (client) => {
    await client.query("select pg_advisory_xact_lock(hashtextextended('llmq.first_models', 0))");
    if (keys.length === 0 || (await hasModels(client))) return [];
    for (const key of keys) {
      const { apiKeyEnv, models } = VENDORS[key];
      await client.query("select llmq.configure_provider($1, $1, api_key_env => $2)", [key, apiKeyEnv]);
      for (const model of models) await client.query("select llmq.configure_model($1, $2)", [model, key]);
    }
    for (const [index, complexity] of COMPLEXITIES.entries()) {
      const route = keys.map((key) => VENDORS[key].models[index]);
      await client.query("select llmq.configure_route($1, $2)", [complexity, route]);
    }
    return keys.flatMap((key) => VENDORS[key].models);
  });
}

/** Whether any model can be called: without one an orchestrator has nothing to do. */
export async function hasModels(database: Pick<Pool, "query">): Promise<boolean> {
  const { rows } = await database.query(
    "select exists (select from llmq.models where name <> 'external') as has_models",
  );
  return rows[0].has_models;
}
