/** What the dashboard's API answers about models, agents and queues; see `api-types.ts`. */
import type { Activity } from "./api-types.ts";

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
