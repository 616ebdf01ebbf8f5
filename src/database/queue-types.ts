/** What an orchestrator is given and what it reports: the vocabulary between the loop and the SQL functions. */
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
  /** So many calls of its model, provider or agent may be in flight: its end makes room for another request. */
  concurrencyLimited: boolean;
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
  /** So many of the first are in the ledger already. */
  notedCalls: number;
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
  /** So many of the first are in the ledger already. */
  notedCalls: number;
};

export type RequestOutcome = CompletedOutcome | FailedOutcome;

/** What SQL made of an outcome; `applied: false` means that the claim was lost meanwhile. */
export type AppliedOutcome = {
  requestId: string;
  applied: boolean;
  status: "completed" | "failed" | "pending" | null;
  runAt: Date | null;
};
