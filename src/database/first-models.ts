/**
 * A database without models gets providers, models and routes for the API keys found at the first start,
 * so that a new user needs no configuration to make the first call. Nothing that exists is touched.
 */
import type { Pool } from "pg";

export type ProviderKey = "openai" | "anthropic" | "google";

type Vendor = { apiKeyEnv: string /** simple, medium, complex */; models: [string, string, string] };

/** Widely available models of each vendor at the time of writing; change them with `llmq.configure_model`. */
const VENDORS: Record<ProviderKey, Vendor> = {
  openai: { apiKeyEnv: "OPENAI_API_KEY", models: ["gpt-5-nano", "gpt-5-mini", "gpt-5"] },
  anthropic: {
    apiKeyEnv: "ANTHROPIC_API_KEY",
    models: ["claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5"],
  },
  google: {
    apiKeyEnv: "GOOGLE_GENERATIVE_AI_API_KEY",
    models: ["gemini-flash-lite-latest", "gemini-flash-latest", "gemini-pro-latest"],
  },
};

const COMPLEXITIES = ["simple", "medium", "complex"] as const;

export type FirstModelsOptions = {
  /** Vendors whose key is set, in the order in which routes prefer them. */
  keys: ProviderKey[];
  /** Other model ids than the usual ones, one to three: for simple, medium and complex. */
  models?: Partial<Record<ProviderKey, string[]>>;
};

/** The names of the models it added; none when the database has models or no key was found. */
export async function addFirstModels(pool: Pool, options: FirstModelsOptions): Promise<string[]> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    await client.query("select pg_advisory_xact_lock(hashtextextended('llmq.first_models', 0))");
    const { rows } = await client.query(
      "select exists (select from llmq.models where name <> 'external') as has_models",
    );
    const added: string[] = [];
    if (!rows[0].has_models) {
      const routes: string[][] = [[], [], []];
      for (const key of options.keys) {
        const vendor = VENDORS[key];
        await client.query("select llmq.configure_provider($1, $1, api_key_env => $2)", [
          key,
          vendor.apiKeyEnv,
        ]);
        for (const [index, model] of threeModels(options.models?.[key] ?? vendor.models).entries()) {
          await client.query("select llmq.configure_model($1, $2, $1)", [model, key]);
          routes[index]?.push(model);
          if (!added.includes(model)) added.push(model);
        }
      }
      for (const [index, complexity] of COMPLEXITIES.entries()) {
        if (added.length > 0)
          await client.query("select llmq.configure_route($1, $2)", [complexity, routes[index]]);
      }
    }
    await client.query("commit");
    return added;
  } catch (error) {
    await client.query("rollback").catch(() => undefined);
    throw error;
  } finally {
    client.release();
  }
}

/** Whether any model can be called: without one an orchestrator has nothing to do. */
export async function hasModels(pool: Pool): Promise<boolean> {
  const { rows } = await pool.query(
    "select exists (select from llmq.models where name <> 'external') as has_models",
  );
  return rows[0].has_models;
}

function threeModels(models: string[]): string[] {
  const last = models.at(-1);
  return COMPLEXITIES.map((_, index) => models[index] ?? last).filter((model) => model !== undefined);
}
