/** One request of ours as the AI SDK's call options (`doGenerate`). */
import type { LanguageModelV4CallOptions, SharedV4ProviderOptions } from "@ai-sdk/provider";
import { toPrompt, toTools } from "./ai-sdk-prompt.ts";
import type { ChatSettings, OutputFormat, ProviderRequest } from "./provider.ts";

/** In mode `tool` the answer is the input of a call to this tool. */
export const ANSWER_TOOL_NAME = "respond";

/** What differs between providers when a call is put together. */
export type CallOptionRules = {
  fileReferenceKey: string;
  allowsLateSystem: boolean;
  /** For providers that demand a limit; `model.maxOutputTokens` goes first. */
  defaultMaxOutputTokens: number | null;
  /** Provider options this request needs; the caller's own `settings.provider_options` win. */
  providerOptions(request: ProviderRequest): SharedV4ProviderOptions;
};

/** The output mode that is really put on the wire: none while tools are offered, none for plain text. */
export function askedMode(request: ProviderRequest): "json_schema" | "tool" | "json" | null {
  if (request.output.kind === "text" || request.tools.length > 0 || request.output.mode === "prompt")
    return null;
  return request.output.mode;
}

/** Throws what the data makes impossible; the caller reports bad_request. */
export function toCallOptions(
  request: ProviderRequest,
  rules: CallOptionRules,
  abortSignal: AbortSignal,
): LanguageModelV4CallOptions {
  const { settings } = request;
  const maxOutputTokens =
    settings.max_tokens ??
    (rules.defaultMaxOutputTokens === null
      ? undefined
      : (request.model.maxOutputTokens ?? rules.defaultMaxOutputTokens));
  return withoutUndefined({
    prompt: toPrompt(request.messages, rules),
    maxOutputTokens,
    temperature: settings.temperature,
    topP: settings.top_p,
    topK: settings.top_k,
    seed: settings.seed,
    presencePenalty: settings.presence_penalty,
    frequencyPenalty: settings.frequency_penalty,
    stopSequences: typeof settings.stop === "string" ? [settings.stop] : settings.stop,
    reasoning: settings.reasoning_effort,
    abortSignal,
    providerOptions: mergeOptions(rules.providerOptions(request), settings.provider_options ?? {}),
    ...toolsAndFormat(request),
  });
}

function toolsAndFormat(request: ProviderRequest): Partial<LanguageModelV4CallOptions> {
  const mode = askedMode(request);
  if (mode === null || request.output.kind === "text") {
    const toolChoice = toToolChoice(request.settings.tool_choice);
    return request.tools.length === 0
      ? {}
      : { tools: toTools(request.tools), ...(toolChoice !== undefined && { toolChoice }) };
  }
  const schema = schemaObject(request.output);
  if (mode === "json") return { responseFormat: { type: "json" } };
  if (mode === "json_schema") return { responseFormat: { type: "json", schema, name: "response" } };
  const description = "Give the final answer by calling this tool.";
  return {
    tools: [{ type: "function", name: ANSWER_TOOL_NAME, description, inputSchema: schema }],
    toolChoice: { type: "tool", toolName: ANSWER_TOOL_NAME },
  };
}

function toToolChoice(choice: ChatSettings["tool_choice"]): LanguageModelV4CallOptions["toolChoice"] {
  if (choice === undefined) return undefined;
  return typeof choice === "string" ? { type: choice } : { type: "tool", toolName: choice.function.name };
}

/** `true` is the schema that allows everything; no wire format takes a boolean. */
function schemaObject(output: Extract<OutputFormat, { kind: "json" }>): Record<string, unknown> {
  return typeof output.schema === "boolean" ? {} : output.schema;
}

function mergeOptions(
  ours: SharedV4ProviderOptions,
  callers: Record<string, Record<string, unknown>>,
): SharedV4ProviderOptions {
  const merged: Record<string, Record<string, unknown>> = { ...callers };
  for (const [provider, options] of Object.entries(ours))
    merged[provider] = { ...options, ...callers[provider] };
  // What came out of jsonb is JSON; the type only says so more exactly than ours.
  return merged as SharedV4ProviderOptions;
}

function withoutUndefined<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const kept = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as { [K in keyof T]: Exclude<T[K], undefined> };
}
