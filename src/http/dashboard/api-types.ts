/**
 * What the dashboard's API answers: shared by the server and the page (`web/`), types alone. Times are ISO 8601,
 * money is US dollars, durations carry their unit in their names.
 */

export type RequestStatus = "pending" | "processing" | "completed" | "failed" | "cancelled";

/** `GET /api/session`, before anything else: may this browser see the rest? */
export type Session = {
  /** `login`: a token is needed. `closed`: no token is set, and the address is not a loopback one. */
  access: "open" | "login" | "closed";
  /** Whether there is something to log out from. */
  usesToken: boolean;
  /** Whether prompts and answers are shown. */
  prompts: "show" | "hide";
  version: string;
};

/** Any answer above 399. */
export type ApiFailure = { error: string; hint?: string };

/** What ended in one span of time. Percentiles are those of a histogram whose classes are 20% wide; null: none. */
export type Ended = {
  completed: number;
  failed: number;
  cancelled: number;
  tokens: number;
  costUsd: number | null;
  /** Milliseconds from submit to end. */
  p50Ms: number | null;
  p95Ms: number | null;
};

export type Depth = { pending: number; processing: number };

/** Ten seconds. Depths are the last ones seen in them; null where nobody looked. */
export type Bucket = {
  /** Start, in seconds since 1970. */
  at: number;
  depth: Depth | null;
  total: Ended;
  models: Record<string, Ended & { depth?: Depth }>;
  agents: Record<string, Ended & { depth?: Depth }>;
};

export type WorkerSummary = {
  name: string;
  alive: boolean;
  stopping: boolean;
  startedAt: string;
  heartbeatAt: string;
  inFlight: number | null;
  concurrency: number | null;
  listener: string | null;
  version: string | null;
};

/** Of one model or agent, over the whole history and now. */
export type Activity = Ended & Depth & { name: string };

/** Sent when the page opens, as the event `overview`, and in short as every `tick`. */
export type Overview = {
  /** The database's clock. */
  at: string;
  bucketSeconds: number;
  /** Where the history starts, seconds since 1970: shorter than half an hour when that took too long to read. */
  since: number;
  /** All of them in `overview`; in `tick` those that changed. */
  buckets: Bucket[];
  depth: Depth & { oldestPendingAt: string | null };
  total: Ended;
  models: Activity[];
  /** The busiest ones. */
  agents: Activity[];
  workers: WorkerSummary[];
};

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

export type Breaker = {
  state: "closed" | "cooling" | "recovering";
  coolingUntil: string | null;
  reason: string | null;
  errorClass: string | null;
  failures: number;
  /** Calls admitted at once while it recovers. */
  admit: number | null;
};

export type ModelLimits = {
  requestsPerMinute: number | null;
  inputTokensPerMinute: number | null;
  outputTokensPerMinute: number | null;
  /** In and out together. */
  tokensPerMinute: number | null;
  maxConcurrency: number | null;
};

/** In the last minute, reservations of running calls included. */
export type LimitUse = { requests: number; inputTokens: number; outputTokens: number };

/** `GET /api/models` */
export type ModelSummary = {
  name: string;
  provider: string;
  providerKind: string;
  providerPaused: boolean;
  modelId: string;
  paused: boolean;
  contextWindow: number | null;
  limits: ModelLimits;
  /** Null: it has no limits, or the database role may not see it. */
  used: LimitUse | null;
  breaker: Breaker;
  activity: Activity;
};

/** `GET /api/agents`: those with a row of their own, and the busiest of the others. */
export type Agents = {
  agents: AgentSummary[];
  /** False: too many results to sum in the time a page has; none are told then. */
  isSpendingKnown: boolean;
};

export type AgentSummary = {
  name: string;
  configured: boolean;
  weight: number;
  paused: boolean;
  maxConcurrency: number | null;
  dailyBudgetUsd: number | null;
  monthlyBudgetUsd: number | null;
  /**
   * Since then (UTC): what counts against the budget, running calls included; without a budget, by the results.
   * Null: no costs are known.
   */
  spentTodayUsd: number | null;
  spentThisMonthUsd: number | null;
  owner: string | null;
  /** Of what ended in the history or runs now, 0 to 1; null: nothing did. */
  share: number | null;
  activity: Activity;
};

/** `GET /api/queues` */
export type QueueSummary = {
  name: string;
  handler: string;
  enabled: boolean;
  maxReads: number;
  retryAfterMs: number;
  /** Messages in pgmq, counted to 10,000; null: the queue does not exist there, or may not be read. */
  waiting: number | null;
  /** Of `llmq.inbox`, counted to 10,000. */
  unread: number;
};

export type SetAsideMessage = {
  id: string;
  queueName: string;
  messageId: string | null;
  error: string;
  setAsideAt: string;
  /** Null when prompts are hidden. */
  message: unknown;
};

export type Queues = { hasPgmq: boolean; queues: QueueSummary[]; setAside: SetAsideMessage[] };

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
