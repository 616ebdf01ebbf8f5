/** Finds the provider for a model. One provider per kind, address and key; all share one connection pool. */
import { type Adapter, createAiSdkProvider } from "./ai-sdk.ts";
import { anthropicAdapter } from "./anthropic.ts";
import { googleAdapter } from "./google.ts";
import { createHttpClient } from "./http.ts";
import { openaiAdapter } from "./openai.ts";
import { openaiCompatibleAdapter } from "./openai-compatible.ts";
import type { ModelTarget, Provider } from "./provider.ts";
import { createSimProvider } from "./sim.ts";

export type Providers = {
  /** Never throws: what is wrong with the configuration becomes the outcome of each call. */
  for(model: ModelTarget): Provider;
  /** Ends calls that still run, and closes all connections. */
  close(): Promise<void>;
};

/** The part of a pino logger that is used here. */
export type ProviderLogger = { warn(fields: object, message: string): void };

export type ProvidersOptions = {
  /** Where keys (`apiKeyEnv`), base URLs and proxies are looked up. */
  env: Record<string, string | undefined>;
  /** Instead of the network, for tests and embedding programs. */
  fetch?: typeof fetch;
  logger?: ProviderLogger;
};

const ADAPTERS: Record<string, Adapter> = {
  openai: openaiAdapter,
  anthropic: anthropicAdapter,
  google: googleAdapter,
  "openai-compatible": openaiCompatibleAdapter,
};

/** The variables in which the vendors' own tools look for another address. */
const BASE_URL_VARIABLES: Record<string, string> = {
  openai: "OPENAI_BASE_URL",
  anthropic: "ANTHROPIC_BASE_URL",
};

/** Opens the connection pool; no call is made before `for(model).call(request)`. */
export function createProviders(options: ProvidersOptions): Providers {
  const { env, logger } = options;
  const http = createHttpClient({ env, fetch: options.fetch });
  const cache = new Map<string, Provider>();
  const create = (model: ModelTarget): Provider => {
    if (model.kind === "sim") return createSimProvider();
    const adapter = ADAPTERS[model.kind];
    const baseUrl = baseUrlOf(model, env);
    const apiKey = model.apiKeyEnv === null ? null : (env[model.apiKeyEnv]?.trim() ?? "");
    const problem = problemOf(model, adapter, baseUrl, apiKey);
    if (adapter !== undefined && problem === null)
      return createAiSdkProvider({ adapter, baseUrl, apiKey, http });
    logger?.warn({ provider: model.provider, problem }, "provider is not usable");
    return misconfigured(problem ?? "unknown");
  };
  return {
    for(model) {
      const key = JSON.stringify([model.kind, baseUrlOf(model, env), model.apiKeyEnv]);
      const provider = cache.get(key) ?? create(model);
      cache.set(key, provider);
      return provider;
    },
    close: () => http.close(),
  };
}

function baseUrlOf(model: ModelTarget, env: ProvidersOptions["env"]): string | null {
  return model.baseUrl || env[BASE_URL_VARIABLES[model.kind] ?? ""]?.trim() || null;
}

function problemOf(
  model: ModelTarget,
  adapter: Adapter | undefined,
  baseUrl: string | null,
  apiKey: string | null,
): string | null {
  if (adapter === undefined)
    return `the kind "${model.kind}" of provider "${model.provider}" cannot be called here`;
  if (apiKey === "") {
    return `the environment variable ${model.apiKeyEnv} is not set; it must hold the API key of provider "${model.provider}"`;
  }
  if (baseUrl === null) {
    return model.kind === "openai-compatible" ? `provider "${model.provider}" needs a base URL` : null;
  }
  const protocol = URL.canParse(baseUrl) ? new URL(baseUrl).protocol : "";
  if (protocol === "http:" || protocol === "https:") return null;
  return `the base URL of provider "${model.provider}" is not an http or https URL`;
}

function misconfigured(message: string): Provider {
  return {
    call: async () => ({
      kind: "error",
      errorClass: "configuration",
      message,
      retryAfterMs: null,
      facts: {
        startedAt: new Date(),
        latencyMs: 0,
        firstByteMs: null,
        statusCode: null,
        providerRequestId: null,
        usage: null,
      },
    }),
  };
}
