/**
 * Servers that speak OpenAI's chat completions: vLLM, Ollama, Groq, OpenRouter and the like. Options the
 * package does not know (`{"openai-compatible": {"chat_template_kwargs": ...}}`) go into the body as they are.
 */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import type { Adapter } from "./ai-sdk.ts";
import { askedMode } from "./ai-sdk-options.ts";
import type { ProviderRequest } from "./provider.ts";
import { isStrictSchema } from "./strict-schema.ts";

/** The package's name for its options; the caller may also use the kind, or the provider row's name. */
const OPTIONS_KEY = "openaiCompatible";

/** The adapter of kind `openai-compatible`. The base URL must be given. */
export const openaiCompatibleAdapter: Adapter = {
  fileReferenceKey: OPTIONS_KEY,
  allowsLateSystem: true,
  defaultMaxOutputTokens: null,
  createModel: ({ modelId, baseUrl, apiKey, headers, fetch }) => {
    if (baseUrl === null) throw new Error("a provider of kind openai-compatible needs a base URL");
    return createOpenAICompatible({
      name: OPTIONS_KEY,
      baseURL: baseUrl,
      apiKey,
      headers,
      fetch,
      // Which mode to ask for is decided by the caller's ladder, not by the package.
      supportsStructuredOutputs: true,
    })(modelId);
  },
  providerOptions: (request) => ({ [OPTIONS_KEY]: bodyOptions(request) }),
};

function bodyOptions(request: ProviderRequest) {
  const { provider_options, top_k } = request.settings;
  const isSchemaAsked = request.output.kind === "json" && askedMode(request) === "json_schema";
  return {
    // The package drops top_k since OpenAI has none; vLLM and llama.cpp take it from the body.
    ...(top_k !== undefined && { top_k }),
    ...(isSchemaAsked &&
      request.output.kind === "json" && { strictJsonSchema: isStrictSchema(request.output.schema) }),
    ...(provider_options?.["openai-compatible"] as Record<string, never> | undefined),
    ...(provider_options?.[request.model.provider] as Record<string, never> | undefined),
  };
}
