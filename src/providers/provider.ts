/**
 * The boundary between llmq and whoever runs a model. One request in, one outcome out: a provider never
 * throws for what the other side did, never retries, and never looks at the database.
 */

/** OpenAI's chat format, as stored in `llmq.requests.messages`. */
export type ChatMessage = {
  /** `developer` is OpenAI's newer word for `system`, and is treated as it. */
  role: "system" | "developer" | "user" | "assistant" | "tool";
  content?: string | ChatPart[] | null;
  name?: string;
  tool_calls?: ChatToolCall[];
  tool_call_id?: string;
};

export type ChatPart =
  | { type: "text"; text: string }
  | { type: "image_url"; image_url: { url: string; detail?: string } }
  | { type: "input_audio"; input_audio: { /** base64 */ data: string; format: string } }
  | { type: "file"; file: { file_data?: string; file_id?: string; filename?: string } };

export type ChatToolCall = {
  id: string;
  type: "function";
  /** `arguments` is JSON text, as OpenAI sends it. */
  function: { name: string; arguments: string };
};

export type ChatTool = {
  type: "function";
  function: { name: string; description?: string; parameters?: Record<string, unknown>; strict?: boolean };
};

/** `llmq.requests.settings`: what a caller may tune. Unknown keys are refused at submit. */
export type ChatSettings = {
  temperature?: number;
  max_tokens?: number;
  top_p?: number;
  top_k?: number;
  seed?: number;
  stop?: string | string[];
  presence_penalty?: number;
  frequency_penalty?: number;
  tool_choice?: "auto" | "none" | "required" | { type: "function"; function: { name: string } };
  reasoning_effort?: "none" | "minimal" | "low" | "medium" | "high" | "xhigh";
  /** Passed on untouched, keyed by provider: `{"openai": {...}}`. */
  provider_options?: Record<string, Record<string, unknown>>;
  /** How often the model is asked again with its validation errors; the default is `llmq.settings.validation_retries`. */
  validation_retries?: number;
  /** Total time limit of one call in seconds; the default is `llmq.settings.call_timeout`. */
  timeout?: number;
};

/** The kinds a process can call by itself. `external` is answered by somebody else's worker. */
export type ProviderKind = "openai" | "anthropic" | "google" | "openai-compatible" | "sim";

/** A row of `llmq.models` joined to its provider. */
export type ModelTarget = {
  /** `llmq.models.name`, what routes name. */
  name: string;
  /** `llmq.providers.name`. */
  provider: string;
  kind: ProviderKind;
  /** What the provider calls the model. */
  modelId: string;
  baseUrl: string | null;
  /** Name of the environment variable that holds the key; null when the endpoint needs none. */
  apiKeyEnv: string | null;
  /** `llmq.providers.options` overlaid with `llmq.models.options`: headers, sim behaviour, output modes. */
  options: Record<string, unknown>;
  contextWindow: number | null;
  maxOutputTokens: number | null;
};

/** How the answer's shape is asked for: the ladder, best first. ajv checks the answer whatever was asked. */
export type OutputMode = "json_schema" | "tool" | "json" | "prompt";

export type OutputFormat =
  | { kind: "text" }
  /** `mode: "prompt"` asks for nothing on the wire; the caller has put the schema into the messages. */
  | { kind: "json"; mode: OutputMode; schema: Record<string, unknown> | boolean };

export type ProviderRequest = {
  requestId: string;
  model: ModelTarget;
  messages: ChatMessage[];
  tools: ChatTool[];
  settings: ChatSettings;
  output: OutputFormat;
  /** Aborts the HTTP call: cancelled, deadline passed, or shutting down hard. */
  signal: AbortSignal;
  timeouts: CallTimeouts;
};

export type CallTimeouts = { connectMs: number; firstByteMs: number; totalMs: number };

export type TokenUsage = {
  inputTokens: number;
  outputTokens: number;
  /** Part of `inputTokens` that was read from the provider's cache. */
  cachedInputTokens: number;
  /** Part of `outputTokens` that was spent on reasoning. */
  reasoningTokens: number;
};

/** What happened, in the words of the table in `error-classes.ts`; SQL decides what follows. */
export type ErrorClass =
  | "transient"
  | "capacity"
  | "out_of_quota"
  | "configuration"
  | "too_long"
  | "mode"
  | "refused"
  | "truncated"
  | "bad_request"
  | "aborted";

export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter" | "other";

export type CallFacts = {
  startedAt: Date;
  latencyMs: number;
  /** Null when nothing came back. */
  firstByteMs: number | null;
  statusCode: number | null;
  providerRequestId: string | null;
  /** The model that answered, as the provider names it; absent when it did not say. */
  responseModel?: string | undefined;
  usage: TokenUsage | null;
  /** What is left of the provider's limits, if its headers said so. */
  rateLimits?: RateLimits | null;
};

/** Of one limit: `remaining` calls or tokens until it resets; null where the provider does not say. */
export type RateLimit = { limit: number | null; remaining: number; resetMs: number | null };

/** `tokens` are those of prompts and answers together. */
export type RateLimits = {
  requests?: RateLimit;
  tokens?: RateLimit;
  inputTokens?: RateLimit;
  outputTokens?: RateLimit;
};

export type ProviderOutcome =
  | {
      kind: "answer";
      text: string;
      /** `params` is parsed; text that is no JSON object is kept in `rawArguments` for the validation to report. */
      toolCalls: { id: string; toolName: string; params: unknown; rawArguments: string }[];
      finishReason: FinishReason;
      facts: CallFacts;
    }
  | {
      kind: "error";
      errorClass: ErrorClass;
      /** For people: the provider's own message where it gave one. Never contains a key. */
      message: string;
      /** How long the provider asked to be left alone; null when it did not say. */
      retryAfterMs: number | null;
      facts: CallFacts;
    };

export type Provider = {
  call(request: ProviderRequest): Promise<ProviderOutcome>;
};
