/**
 * OpenAI. The chat completions API by default, because that is what servers behind an OPENAI_BASE_URL speak;
 * `{"api": "responses"}` in the options of the provider or model chooses the responses API.
 */
import { createOpenAI } from "@ai-sdk/openai";
import type { Adapter } from "./ai-sdk.ts";
import { askedMode } from "./ai-sdk-options.ts";
import { isStrictSchema } from "./strict-schema.ts";

/** The adapter of kind `openai`. */
export const openaiAdapter: Adapter = {
  fileReferenceKey: "openai",
  allowsLateSystem: true,
  defaultMaxOutputTokens: null,
  createModel: ({ modelId, baseUrl, apiKey, headers, fetch, options }) => {
    const openai = createOpenAI({ baseURL: baseUrl ?? "https://api.openai.com/v1", apiKey, headers, fetch });
    return options["api"] === "responses" ? openai.responses(modelId) : openai.chat(modelId);
  },
  providerOptions: (request) => {
    if (request.output.kind === "text" || askedMode(request) !== "json_schema") return {};
    return { openai: { strictJsonSchema: isStrictSchema(request.output.schema) } };
  },
};
