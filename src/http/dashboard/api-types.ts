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
