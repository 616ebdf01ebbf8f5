/**
 * The client's vocabulary. Names are camelCase here and snake_case in SQL; rows.ts maps between the two and
 * nothing else does.
 */
import type { ValidationError } from "../answer/answer.ts";
import type { ChatMessage, ChatSettings, ChatTool } from "../providers/provider.ts";

/** The parameters of `llmq.submit_llm_request`. What is left out gets the default of the SQL function. */
export type SubmitRequest = {
  /** May be left out when the client was made with an `agentId`. */
  agentId?: string;
  taskType: string;
  /** OpenAI's chat format. */
  messages: ChatMessage[];
  complexity?: Complexity;
  /**
   * Anything the submitter wants to find again with the request. `{"executor": "external"}` has a meaning, and so
   * have `traceparent` and `tracestate` (W3C Trace Context).
   */
  context?: Record<string, unknown>;
  /** JSON Schema that the answer must satisfy. */
  responseSchema?: Record<string, unknown> | boolean | null;
  tools?: ChatTool[] | null;
  settings?: ChatSettings;
  /** Asks this model and no other. */
  model?: string | null;
  /** -100 to 100, higher first; 0 by default. */
  priority?: number;
  /** Not before this. */
  runAt?: Date | null;
  /** Fails with `deadline_exceeded` when it is not finished by then. */
  deadline?: Date | null;
  maxAttempts?: number | null;
  /** The same key of the same agent gives the id of the first request: a submit that may be repeated safely. */
  idempotencyKey?: string | null;
  /** The pgmq queue that gets the result as well. */
  replyTo?: string | null;
  parentId?: string | null;
};

export type Complexity = "simple" | "medium" | "complex";

export type RequestStatus = "pending" | "processing" | "completed" | "failed" | "cancelled";

/**
 * What became of a request: the view `llmq.llm_requests` without the prompt, which only `get` reads. `T` is
 * the caller's word for what its response schema guarantees; nothing is checked here.
 */
export type LlmRequest<T = unknown> = {
  id: string;
  agentId: string;
  taskType: string;
  complexity: Complexity;
  status: RequestStatus;
  /** The model's answer as it came; null when there is none. */
  response: string | null;
  /** The answer as JSON; `{tool_calls, final_response}` (`ToolCallsAnswer`) for tool calls; null for plain text. */
  parsedResponse: T | null;
  validationErrors: ValidationError[] | null;
  /** `provider_unavailable`, `malformed_response`, `exception`, ...: set exactly when it failed. */
  errorType: string | null;
  errorMessage: string | null;
  model: string | null;
  provider: string | null;
  finishReason: string | null;
  /** What was mended in the answer, in order. */
  repairs: string[];
  priority: number;
  attempts: number;
  maxAttempts: number;
  capacityWaits: number;
  reasks: number;
  crashes: number;
  /** Calls made to providers in all. */
  calls: number;
  inputTokens: number | null;
  outputTokens: number | null;
  cachedInputTokens: number | null;
  reasoningTokens: number | null;
  costUsd: number | null;
  createdAt: Date;
  updatedAt: Date;
  runAt: Date | null;
  deadline: Date | null;
  startedAt: Date | null;
  finishedAt: Date | null;
  publishedAt: Date | null;
};

/** A request with all that was submitted. */
export type FullLlmRequest<T = unknown> = LlmRequest<T> & {
  messages: ChatMessage[];
  context: Record<string, unknown>;
  responseSchema: Record<string, unknown> | boolean | null;
  tools: ChatTool[] | null;
  settings: ChatSettings;
  idempotencyKey: string | null;
  replyTo: string | null;
  parentId: string | null;
  /** Why other models of its route did not answer, in order. */
  fallbacks: Fallback[];
};

/** A model that was asked in vain, or passed over (`outcome`: see `llmq.attempts.outcome`). */
export type Fallback = { model: string; outcome: string; errorMessage: string | null };

/** What a tool gave back for the call with this id; `result` is any JSON. */
export type ToolResult = { id: string; result: unknown; isError?: boolean };

/** Why a request is not running, or what happened to it (`llmq.explain_llm_request`). Absent: does not apply. */
export type RequestExplanation = {
  requestId: string;
  status: RequestStatus;
  /** One sentence for people. */
  why: string;
  model?: string;
  provider?: string;
  route?: string[];
  runAt?: string;
  deadline?: string;
  /** agent_paused, agent_concurrency, agent_budget, route_paused or shared. */
  held?: string;
  coolingUntil?: string;
  /** Requests of the same model before this one, counted to 10,000. */
  ahead?: number;
  startsPerMinute?: number;
  /** At the pace of the last minute. */
  estimatedStart?: string;
  /** Of its model and provider, with what is used of them; a limit that is not set is absent. */
  limits?: {
    model?: string;
    provider?: string;
    requests: number;
    requestsPerMinute?: number;
    inputTokens: number;
    inputTokensPerMinute?: number;
    outputTokens: number;
    outputTokensPerMinute?: number;
    tokensPerMinute?: number;
    inFlight: number;
    maxConcurrency?: number;
  }[];
  errorType?: string;
  errorMessage?: string;
  attempts?: number;
  maxAttempts?: number;
  capacityWaits?: number;
  reasks?: number;
  crashes?: number;
  calls?: {
    number: number;
    outcome: string;
    model?: string;
    startedAt?: string;
    latencyMs?: number;
    statusCode?: number;
    errorMessage?: string;
    inputTokens?: number;
    outputTokens?: number;
  }[];
};
