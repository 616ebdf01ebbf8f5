/** Rows of SQL to objects and back: the one place where snake_case becomes camelCase. */
import type { ValidationError } from "../answer/answer.ts";
import { LlmqError } from "./errors.ts";
import type {
  Complexity,
  Fallback,
  FullLlmRequest,
  LlmRequest,
  RequestExplanation,
  RequestStatus,
  SubmitRequest,
  ToolResult,
} from "./types.ts";

/** Columns of `llmq.llm_requests` for `LlmRequest`. The prompt is not among them: it can be large. */
export const RESULT_COLUMNS = `id, agent_id, task_type, complexity, status, response, parsed_response,
  validation_errors, error_type, error_message, model, provider, finish_reason, repairs, priority, attempts,
  max_attempts, capacity_waits, reasks, crashes, calls, input_tokens, output_tokens, cached_input_tokens,
  reasoning_tokens, cost_usd, created_at, updated_at, run_at, deadline, started_at, finished_at, published_at`;

/** A row as `pg` reads it; the application's own type parsers may have changed times and bigints. */
export type Row = Record<string, unknown>;

export function toLlmRequest<T>(row: Row): LlmRequest<T> {
  return {
    id: row.id as string,
    agentId: row.agent_id as string,
    taskType: row.task_type as string,
    complexity: row.complexity as Complexity,
    status: row.status as RequestStatus,
    response: row.response as string | null,
    parsedResponse: row.parsed_response as T | null,
    validationErrors: row.validation_errors as ValidationError[] | null,
    errorType: row.error_type as string | null,
    errorMessage: row.error_message as string | null,
    model: row.model as string | null,
    provider: row.provider as string | null,
    finishReason: row.finish_reason as string | null,
    repairs: (row.repairs as string[] | null) ?? [],
    priority: row.priority as number,
    attempts: row.attempts as number,
    maxAttempts: row.max_attempts as number,
    capacityWaits: row.capacity_waits as number,
    reasks: row.reasks as number,
    crashes: row.crashes as number,
    calls: row.calls as number,
    inputTokens: toNumber(row.input_tokens),
    outputTokens: toNumber(row.output_tokens),
    cachedInputTokens: toNumber(row.cached_input_tokens),
    reasoningTokens: toNumber(row.reasoning_tokens),
    costUsd: toNumber(row.cost_usd),
    createdAt: toDate(row.created_at) as Date,
    updatedAt: toDate(row.updated_at) as Date,
    runAt: toDate(row.run_at),
    deadline: toDate(row.deadline),
    startedAt: toDate(row.started_at),
    finishedAt: toDate(row.finished_at),
    publishedAt: toDate(row.published_at),
  };
}

export function toFullLlmRequest<T>(row: Row): FullLlmRequest<T> {
  return {
    ...toLlmRequest<T>(row),
    messages: row.messages as FullLlmRequest["messages"],
    context: row.context as FullLlmRequest["context"],
    responseSchema: row.response_schema as FullLlmRequest["responseSchema"],
    tools: row.tools as FullLlmRequest["tools"],
    settings: row.settings as FullLlmRequest["settings"],
    idempotencyKey: row.idempotency_key as string | null,
    replyTo: row.reply_to as string | null,
    parentId: row.parent_id as string | null,
    fallbacks: camelCased(row.fallbacks ?? []) as Fallback[],
  };
}

/** One element of `llmq.submit_llm_requests`' argument. Keys that were not given stay undefined. */
export function fromSubmitRequest(request: SubmitRequest, defaultAgentId: string | undefined): Row {
  return {
    agent_id: request.agentId ?? defaultAgentId,
    task_type: request.taskType,
    messages: request.messages,
    complexity: request.complexity,
    context: request.context,
    response_schema: request.responseSchema,
    tools: request.tools,
    settings: request.settings,
    model: request.model,
    priority: request.priority,
    run_at: fromDate(request.runAt, "runAt"),
    deadline: fromDate(request.deadline, "deadline"),
    max_attempts: request.maxAttempts,
    idempotency_key: request.idempotencyKey,
    reply_to: request.replyTo,
    parent_id: request.parentId,
  };
}

export function fromToolResult({ id, result, isError }: ToolResult): Row {
  // `result` must be there even when a tool gives nothing back.
  return { id, result: result ?? null, is_error: isError };
}

export function toExplanation(value: Row): RequestExplanation {
  return camelCased(value) as RequestExplanation;
}

/** Only for values whose keys are all llmq's own. */
function camelCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelCased);
  if (typeof value !== "object" || value === null) return value;
  const camel = (key: string) => key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [camel(key), camelCased(item)]));
}

function toNumber(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}

function toDate(value: unknown): Date | null {
  if (value === null || value === undefined) return null;
  return value instanceof Date ? value : new Date(value as string);
}

function fromDate(value: Date | null | undefined, name: string): string | undefined {
  if (value === null || value === undefined) return undefined;
  // JSON would write an invalid date as null: the request would run at once.
  if (!(value instanceof Date) || Number.isNaN(value.getTime())) {
    throw new LlmqError("LQ001", `${name} must be a valid Date`, { detail: `It is ${String(value)}.` });
  }
  return value.toISOString();
}
