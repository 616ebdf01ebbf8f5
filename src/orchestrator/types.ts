/** What an orchestrator is given and what it tells. */
import type { Pool } from "pg";
import type { Logger } from "pino";
import type { AnswerChecker } from "../answer/answer-checker.ts";
import type { AppliedOutcome, ClaimedRequest, RequestOutcome } from "../database/queue.ts";
import type { Providers } from "../providers/registry.ts";
import type { DroppedRequest } from "./process-request.ts";

export type OrchestratorOptions = {
  pool: Pool;
  /** For heartbeats alone, with a time limit well under theirs; default: `pool`. */
  heartbeatPool?: Pool;
  providers: Providers;
  checker: AnswerChecker;
  logger: Logger;
  /** A direct connection for LISTEN; null: notifications are off, polling alone. */
  listenUrl: string | null;
  pollIntervalMs: number;
  /** Most requests of one claim, 1 to 1000. */
  batchSize: number;
  /** Calls in flight in this process. */
  concurrency: number;
  /** Without a heartbeat for four times this, the process is given up and its requests go to others. */
  heartbeatIntervalMs: number;
  retentionDays: number;
  /** For people, in `llmq.workers`; the default is host and process number. */
  name?: string;
  /** Of the program, for people, in `llmq.workers`. */
  version?: string;
  observer?: OrchestratorObserver;
};

/** What metrics and tests are told; each is called synchronously. What it throws is logged. */
export type OrchestratorObserver = {
  claimed?(count: number, seconds: number): void;
  /** A submit somewhere said that there is work. */
  notified?(): void;
  started?(request: ClaimedRequest): void;
  /** `applied` is null when the outcome could not be stored: the request is given back. */
  finished?(request: ClaimedRequest, outcome: RequestOutcome, applied: AppliedOutcome | null): void;
  /** Its call was aborted: nothing is reported. */
  dropped?(request: ClaimedRequest, dropped: DroppedRequest): void;
  listenerMode?(mode: "listening" | "polling"): void;
};

export type OrchestratorStats = {
  workerId: string | null;
  inFlight: number;
  /** Most calls in flight. */
  concurrency: number;
  /** Outcomes that are not stored yet. */
  unstored: number;
  listenerMode: "listening" | "polling" | "off";
  /** When it last looked for work: the database answered, or every place was taken. By this machine's clock. */
  lastLookAt: Date | null;
  /** It looks again after this at the latest. */
  pollIntervalMs: number;
  /** It takes no more. */
  stopping: boolean;
};

export type Orchestrator = {
  /** Registers with the database and begins to claim. Rejects when the schema is not the one it knows. */
  start(): Promise<void>;
  /**
   * Stops claiming, lets calls finish for `graceMs`, gives the rest back. Idempotent; call again with 0 to
   * hurry. Resolves some seconds after the grace at the latest, also when the database is away.
   */
  stop(graceMs?: number): Promise<void>;
  stats(): OrchestratorStats;
};
