/** Rows of the SQL functions in camelCase and back: once, here. */
import type { ChatMessage, ChatSettings, ChatTool, ProviderKind, RateLimit } from "../providers/provider.ts";
import type { ClaimedRequest, CompletedOutcome, FailedOutcome, LedgerCall } from "./queue-types.ts";

export type ClaimedRow = {
  id: string;
  claim_id: string;
  agent_id: string;
  task_type: string;
  complexity: string;
  messages: ChatMessage[];
  context: Record<string, unknown>;
  response_schema: Record<string, unknown> | boolean | null;
  tools: ChatTool[] | null;
  settings: ChatSettings;
  deadline: Date | number | null;
  created_at: Date;
  started_at: Date;
  attempts: number;
  max_attempts: number;
  model: string;
  provider: string;
  provider_kind: ProviderKind;
  base_url: string | null;
  api_key_env: string | null;
  model_id: string;
  options: Record<string, unknown>;
  context_window: number | null;
  max_output_tokens: number | null;
  concurrency_limited: boolean;
};

export function claimedRequest(row: ClaimedRow): ClaimedRequest {
  return {
    id: row.id,
    claimId: row.claim_id,
    agentId: row.agent_id,
    taskType: row.task_type,
    complexity: row.complexity,
    messages: row.messages,
    context: row.context,
    responseSchema: row.response_schema,
    tools: row.tools ?? [],
    settings: row.settings,
    deadline: dateOrNull(row.deadline),
    createdAt: row.created_at,
    startedAt: row.started_at,
    attempts: row.attempts,
    maxAttempts: row.max_attempts,
    concurrencyLimited: row.concurrency_limited,
    model: {
      name: row.model,
      provider: row.provider,
      kind: row.provider_kind,
      modelId: row.model_id,
      baseUrl: row.base_url,
      apiKeyEnv: row.api_key_env,
      options: row.options,
      contextWindow: row.context_window,
      maxOutputTokens: row.max_output_tokens,
    },
  };
}

/** `infinity` comes as a number, a year beyond JavaScript's as an invalid Date: both are never. */
function dateOrNull(value: Date | number | null): Date | null {
  return value instanceof Date && !Number.isNaN(value.getTime()) ? value : null;
}

export function completedRow(outcome: CompletedOutcome) {
  return {
    request_id: outcome.requestId,
    claim_id: outcome.claimId,
    response: outcome.response,
    parsed_response: outcome.parsedResponse,
    repairs: outcome.repairs,
    finish_reason: outcome.finishReason,
    reasks: outcome.reasks,
    rate_limit: rateLimitRow(outcome.calls),
    calls: outcome.calls.slice(outcome.notedCalls).map(ledgerRow),
  };
}

export function failedRow(outcome: FailedOutcome) {
  return {
    request_id: outcome.requestId,
    claim_id: outcome.claimId,
    error_class: outcome.errorClass,
    error_message: outcome.errorMessage,
    retry_after_ms: outcome.retryAfterMs,
    response: outcome.response,
    parsed_response: outcome.parsedResponse,
    validation_errors: outcome.validationErrors,
    repairs: outcome.repairs,
    reasks: outcome.reasks,
    rate_limit: rateLimitRow(outcome.calls),
    calls: outcome.calls.slice(outcome.notedCalls).map(ledgerRow),
  };
}

/** What the newest of the calls told of the provider's limits; absent when none did. */
function rateLimitRow(calls: LedgerCall[]) {
  const limits = calls.findLast((call) => call.facts.rateLimits)?.facts.rateLimits;
  if (!limits) return undefined;
  return {
    requests: limitRow(limits.requests),
    tokens: limitRow(limits.tokens),
    input_tokens: limitRow(limits.inputTokens),
    output_tokens: limitRow(limits.outputTokens),
  };
}

function limitRow(limit: RateLimit | undefined) {
  return limit && { limit: limit.limit, remaining: limit.remaining, reset_ms: limit.resetMs };
}

export function ledgerRow({ outcome, facts, finishReason, outputMode, errorMessage }: LedgerCall) {
  return {
    outcome,
    started_at: facts.startedAt,
    finished_at: new Date(facts.startedAt.getTime() + facts.latencyMs),
    latency_ms: Math.round(facts.latencyMs),
    first_byte_ms: facts.firstByteMs === null ? null : Math.round(facts.firstByteMs),
    status_code: facts.statusCode,
    error_message: errorMessage,
    provider_request_id: facts.providerRequestId,
    finish_reason: finishReason,
    output_mode: outputMode,
    input_tokens: facts.usage?.inputTokens,
    output_tokens: facts.usage?.outputTokens,
    cached_input_tokens: facts.usage?.cachedInputTokens,
    reasoning_tokens: facts.usage?.reasoningTokens,
  };
}
