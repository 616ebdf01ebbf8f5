/** Anthropic's messages API. It demands `max_tokens`, and has no JSON mode below a schema. */
import { createAnthropic } from "@ai-sdk/anthropic";
import type { Adapter } from "./ai-sdk.ts";

/** The adapter of kind `anthropic`. */
export const anthropicAdapter: Adapter = {
  fileReferenceKey: "anthropic",
  allowsLateSystem: true,
  defaultMaxOutputTokens: 4_096,
  createModel: ({ modelId, baseUrl, apiKey, headers, fetch }) =>
    createAnthropic({ baseURL: versioned(baseUrl ?? "https://api.anthropic.com"), apiKey, headers, fetch })(
      modelId,
    ),
  providerOptions: () => ({}),
};

/** Anthropic's own tools write ANTHROPIC_BASE_URL without the `/v1` that the package expects in it. */
function versioned(baseUrl: string): string {
  const url = new URL(baseUrl);
  return url.pathname === "/" ? new URL("/v1", url).href : baseUrl;
}
