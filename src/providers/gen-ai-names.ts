/**
 * What OpenTelemetry's GenAI conventions call a provider and what it is asked for; the same in spans and metrics.
 * https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md
 */
import type { ModelTarget, ProviderKind } from "./provider.ts";

/** The conventions' own names; whatever else speaks OpenAI's format goes by the name of its provider row. */
const PROVIDER_NAMES: Partial<Record<ProviderKind, string>> = {
  openai: "openai",
  anthropic: "anthropic",
  google: "gcp.gemini",
};

/** `gen_ai.operation.name` */
export function genAiOperation({ kind }: Pick<ModelTarget, "kind">): string {
  return kind === "google" ? "generate_content" : "chat";
}

/** `gen_ai.provider.name` */
export function genAiProvider({ kind, provider }: Pick<ModelTarget, "kind" | "provider">): string {
  return PROVIDER_NAMES[kind] ?? provider;
}
