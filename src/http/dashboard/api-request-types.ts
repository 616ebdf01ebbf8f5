/** What the dashboard's API answers about requests; see `api-types.ts`. */
import type { RequestStatus } from "./api-types.ts";

export type RequestFilter = {
  status?: RequestStatus;
  agent?: string;
  taskType?: string;
  model?: string;
  errorType?: string;
  /** Part of the error's text, in any case. */
  text?: string;
  /** Submitted at or after, and before. */
  from?: string;
  to?: string;
};

export type RequestSummary = {
  id: string;
  status: RequestStatus;
  agent: string;
  taskType: string;
  complexity: string;
  priority: number;
  model: string | null;
  errorType: string | null;
  errorMessage: string | null;
  attempts: number;
  calls: number;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  runAt: string | null;
  tokens: number | null;
  costUsd: number | null;
};

/** `GET /api/requests`: newest first. */
export type RequestPage = {
  requests: RequestSummary[];
  /** Give it back as `before`; null: that was all. */
  next: string | null;
  /** Set when the search ended before the page was full: everything submitted since then has been looked at. */
  searchedTo: string | null;
};

export type Attempt = {
  number: number;
  model: string | null;
  provider: string | null;
  outcome: string;
  startedAt: string | null;
  finishedAt: string;
  latencyMs: number | null;
  firstByteMs: number | null;
  statusCode: number | null;
  errorMessage: string | null;
  providerRequestId: string | null;
  finishReason: string | null;
  outputMode: string | null;
  inputTokens: number | null;
  outputTokens: number | null;
  cachedInputTokens: number | null;
  reasoningTokens: number | null;
  costUsd: number | null;
};

/** One request of a conversation with tools. */
export type Turn = { id: string; status: RequestStatus; createdAt: string; calls: string[] };

export type ValidationProblem = {
  type: string;
  /** Of a schema violation: `tool_calls[0].params`; `$` is the whole answer. */
  field: string | null;
  message: string;
  /** Of broken JSON: where in `response`, in UTF-16 code units. */
  position: number | null;
};

/** What people and models said; null as a whole when prompts are hidden. */
export type Content = {
  messages: unknown;
  context: unknown;
  responseSchema: unknown;
  tools: unknown;
  settings: unknown;
  response: string | null;
  parsedResponse: unknown;
  /** The JSON in a response that was refused, to mark what is wrong with it; absent when there is none. */
  refusedJson?: unknown;
  toolResults: unknown;
};

/** `GET /api/requests/:id` */
export type RequestDetail = RequestSummary & {
  provider: string | null;
  deadline: string | null;
  updatedAt: string;
  maxAttempts: number;
  capacityWaits: number;
  reasks: number;
  crashes: number;
  finishReason: string | null;
  repairs: string[];
  inputTokens: number | null;
  outputTokens: number | null;
  cachedInputTokens: number | null;
  reasoningTokens: number | null;
  replyTo: string | null;
  parentId: string | null;
  nextRequestId: string | null;
  problems: ValidationProblem[];
  content: Content | null;
  ledger: Attempt[];
  /** The conversation this request is part of, oldest first, itself included. */
  turns: Turn[];
  /** `llmq.explain_llm_request`, as it is. */
  explanation: Record<string, unknown>;
};

/** `GET /api/suggestions`: what filters can be filled with. */
export type Suggestions = { agents: string[]; taskTypes: string[]; models: string[]; errorTypes: string[] };

/** `POST /api/requests/retry` and `/cancel` */
export type BulkAction = {
  filter: RequestFilter;
  /** Only counts. */
  dryRun: boolean;
};

export type BulkOutcome = {
  /** Found, at most `limit`. */
  matched: number;
  /** Changed; 0 in a dry run. */
  changed: number;
  /** Whether there are more than were looked at: do it again. */
  more: boolean;
  limit: number;
  /** Those that could not be, the first few with the reason. */
  refused: number;
  reasons: string[];
};
