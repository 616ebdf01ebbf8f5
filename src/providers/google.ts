/** Google's Gemini API (`generateContent`). System messages may only come first there. */
import { createGoogle } from "@ai-sdk/google";
import type { Adapter } from "./ai-sdk.ts";

/** The adapter of kind `google`. */
export const googleAdapter: Adapter = {
  fileReferenceKey: "google",
  allowsLateSystem: false,
  defaultMaxOutputTokens: null,
  createModel: ({ modelId, baseUrl, apiKey, headers, fetch }) =>
    createGoogle({
      baseURL: baseUrl ?? "https://generativelanguage.googleapis.com/v1beta",
      apiKey,
      headers,
      fetch,
    })(modelId),
  providerOptions: () => ({}),
};
