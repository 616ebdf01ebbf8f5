/**
 * The orchestrator's side of the SQL API: the only place in TypeScript that names these functions. Rows
 * become camelCase objects here, once. No prepared statements: they do not survive a pooler in transaction
 * mode, and the plans worth keeping are those inside the functions, which PL/pgSQL keeps by itself.
 */
import type { Pool } from "pg";
import type { Repair, ValidationError } from "../answer/answer.ts";
import type {
  CallFacts,
  ChatMessage,
  ChatSettings,
  ChatTool,
  ErrorClass,
  ModelTarget,
  OutputMode,
  ProviderKind,
} from "../providers/provider.ts";

/** One request in this process's hands; `claimId` is the fence that every outcome carries. */
export type ClaimedRequest = {
  id: string;
  claimId: string;
  agentId: string;
  taskType: string;
  complexity: string;
  messages: ChatMessage[];
  context: Record<string, unknown>;
  responseSchema: Record<string, unknown> | boolean | null;
  tools: ChatTool[];
  settings: ChatSettings;
  deadline: Date | null;
  createdAt: Date;
  startedAt: Date;
  attempts: number;
  maxAttempts: number;
  model: ModelTarget;
};

/** A row of the ledger, `llmq.attempts`. */
export type LedgerCall = {
  outcome: "answered" | "invalid" | "exception" | "deadline" | ErrorClass;
  facts: CallFacts;
  finishReason: string | null;
  outputMode: OutputMode | null;
  errorMessage: string | null;
};

export type CompletedOutcome = {
  kind: "completed";
  requestId: string;
  claimId: string;
  response: string;
  parsedResponse?: unknown;
  repairs: Repair[];
  finishReason: string | null;
  reasks: number;
  calls: LedgerCall[];
};

export type FailedOutcome = {
  kind: "failed";
  requestId: string;
  claimId: string;
  /** Decides what follows: `sql/internal/decide_failure.sql`. */
  errorClass: Exclude<ErrorClass, "aborted" | "mode"> | "exception" | "invalid" | "deadline";
  errorMessage: string;
  retryAfterMs: number | null;
  response?: string;
  parsedResponse?: unknown;
  validationErrors?: ValidationError[];
  repairs: Repair[];
  reasks: number;
  calls: LedgerCall[];
};

export type RequestOutcome = CompletedOutcome | FailedOutcome;

/** What SQL made of an outcome; `applied: false` means that the claim was lost meanwhile. */
export type AppliedOutcome = {
  requestId: string;
  applied: boolean;
  status: "completed" | "failed" | "pending" | null;
  runAt: Date | null;
};

export type RuntimeSettings = {
  validationRetries: number;
  callTimeoutMs: number;
  firstByteTimeoutMs: number;
  connectTimeoutMs: number;
};

export type Maintenance = { recovered: number; expired: number; swept: number };

export type QueueDatabase = ReturnType<typeof createQueueDatabase>;

export function createQueueDatabase(pool: Pool) {
  return {
    async schemaVersion(): Promise<number> {
      const { rows } = await pool.query("select llmq.schema_version() as version");
      return rows[0].version;
    },
    async settings(): Promise<RuntimeSettings> {
      const { rows } = await pool.query("select name, value from llmq.settings");
      const values = new Map<string, unknown>(rows.map((row) => [row.name, row.value]));
      const seconds = (name: string, fallback: number) => Number(values.get(name) ?? fallback) * 1000;
      return {
        validationRetries: Number(values.get("validation_retries") ?? 1),
        callTimeoutMs: seconds("call_timeout", 600),
        firstByteTimeoutMs: seconds("first_byte_timeout", 600),
        connectTimeoutMs: seconds("connect_timeout", 10),
      };
    },
    async registerWorker(name: string, lostAfterMs: number, info: object): Promise<string> {
      const { rows } = await pool.query(
        "select llmq.register_worker($1, $2 * interval '1 millisecond', $3) as id",
        [name, lostAfterMs, JSON.stringify(info)],
      );
      return rows[0].id;
    },
    /** False when the worker was given up: what it held runs elsewhere. */
    async heartbeat(workerId: string, info: object): Promise<boolean> {
      const { rows } = await pool.query("select llmq.heartbeat_worker($1, $2) as alive", [
        workerId,
        JSON.stringify(info),
      ]);
      return rows[0].alive;
    },
    async unregisterWorker(workerId: string): Promise<void> {
      await pool.query("select llmq.unregister_worker($1)", [workerId]);
    },
    async claim(workerId: string, maxRequests: number): Promise<ClaimedRequest[]> {
      const { rows } = await pool.query("select * from llmq.claim_pending_llm_requests($1, $2)", [
        maxRequests,
        workerId,
      ]);
      return rows.map(claimedRequest);
    },
    async takeCancellations(workerId: string): Promise<{ requestId: string; claimId: string }[]> {
      const { rows } = await pool.query("select request_id, claim_id from llmq.take_cancellations($1)", [
        workerId,
      ]);
      return rows.map((row) => ({ requestId: row.request_id, claimId: row.claim_id }));
    },
    async complete(outcomes: CompletedOutcome[]): Promise<AppliedOutcome[]> {
      const { rows } = await pool.query("select request_id, applied from llmq.complete_llm_requests($1)", [
        JSON.stringify(outcomes.map(completedRow)),
      ]);
      return rows.map((row) => ({
        requestId: row.request_id,
        applied: row.applied,
        status: row.applied ? "completed" : null,
        runAt: null,
      }));
    },
    async fail(outcomes: FailedOutcome[]): Promise<AppliedOutcome[]> {
      const { rows } = await pool.query(
        "select request_id, applied, status, run_at from llmq.fail_llm_requests($1)",
        [JSON.stringify(outcomes.map(failedRow))],
      );
      return rows.map((row) => ({
        requestId: row.request_id,
        applied: row.applied,
        status: row.status,
        runAt: row.run_at,
      }));
    },
    /** Gives back what this worker holds by any other claim than these; how many. */
    async releaseAllBut(workerId: string, claimIds: string[]): Promise<number> {
      const { rows } = await pool.query(
        "select llmq.release_llm_requests($1, except_claims => $2::bigint[]) as released",
        [workerId, claimIds],
      );
      return rows[0].released;
    },
    /** From now on submits notify; true when they did not before, so that one more look is due. */
    async armWake(): Promise<boolean> {
      const { rows } = await pool.query("select llmq.arm_wake() as armed");
      return rows[0].armed;
    },
    async disarmWake(): Promise<void> {
      await pool.query("select llmq.disarm_wake()");
    },
    /** Null when another process did it within the last second. */
    async maintain(): Promise<Maintenance | null> {
      const { rows } = await pool.query("select llmq.maintain() as done");
      return rows[0].done;
    },
    async ensurePartitions(): Promise<number> {
      const { rows } = await pool.query("select llmq.ensure_partitions() as made");
      return rows[0].made;
    },
    async cleanup(retentionDays: number): Promise<number> {
      const { rows } = await pool.query(
        "select llmq.cleanup_llm_requests($1 * interval '1 day') as removed",
        [retentionDays],
      );
      return Number(rows[0].removed);
    },
  };
}

type ClaimedRow = {
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
};

function claimedRequest(row: ClaimedRow): ClaimedRequest {
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

function completedRow(outcome: CompletedOutcome) {
  return {
    request_id: outcome.requestId,
    claim_id: outcome.claimId,
    response: outcome.response,
    parsed_response: outcome.parsedResponse,
    repairs: outcome.repairs,
    finish_reason: outcome.finishReason,
    reasks: outcome.reasks,
    calls: outcome.calls.map(ledgerRow),
  };
}

function failedRow(outcome: FailedOutcome) {
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
    calls: outcome.calls.map(ledgerRow),
  };
}

function ledgerRow({ outcome, facts, finishReason, outputMode, errorMessage }: LedgerCall) {
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
