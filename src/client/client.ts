/** The client: submit, wait, and everything an application asks of llmq, over the SQL functions. */
import type { ClientBase, Pool } from "pg";
import { type Logger, pino } from "pino";
import { createPool } from "../database/pool.ts";
import { activeTraceContext } from "../trace-context.ts";
import { ClientClosedError, fromDatabase, LlmqError, RequestFailedError } from "./errors.ts";
import { createResultChannels } from "./result-channels.ts";
import { fromSubmitRequest, fromToolResult } from "./rows.ts";
import * as sql from "./statements.ts";
import { toStorableJson } from "./storable.ts";
import { createSubmitGroups, withoutPlace } from "./submit-groups.ts";
import { createSubscriptions, type ResultHandler } from "./subscriptions.ts";
import type { FullLlmRequest, LlmRequest, RequestExplanation, SubmitRequest, ToolResult } from "./types.ts";
import { createWaits, type WaitOptions } from "./waits.ts";

export type ClientOptions = {
  /** The database; the client makes a pool of its own. */
  connectionString?: string;
  /** Or a pool of yours, which `close` leaves open. */
  pool?: Pool;
  /** For LISTEN, when the pool goes through a pooler in transaction mode. By default the pool's own address. */
  listenUrl?: string;
  /** `false`: never LISTEN, find results by polling alone. */
  listen?: boolean;
  /** Submits as this agent, unless a request names another. */
  agentId?: string;
  /** Says why it polls, and which handlers threw; silent by default. Never logs prompts or answers. */
  logger?: Logger;
  /**
   * `false`: does not write the active OpenTelemetry span into the `context` of what is submitted. By default the
   * orchestrator's spans continue its trace; a `traceparent` that is there already stays.
   */
  traceContext?: boolean;
  /** Connections of the client's own pool; 10 by default. */
  maxConnections?: number;
};

export type TransactionOptions = {
  /** A connection with an open transaction: what is submitted exists when that commits, and not before. */
  transaction?: ClientBase;
};

export type LlmqClient = {
  /**
   * Queues a request and resolves with its id, once it is committed. Submits made at the same time travel in
   * one call. Throws `LlmqError` (LQ001, LQ003, LQ005, LQ006); after a lost connection it is unknown whether
   * the request was stored, so give an `idempotencyKey` to a submit that you will repeat.
   */
  submit(request: SubmitRequest, options?: TransactionOptions): Promise<string>;
  /** All or none, at most 10,000; ids in order. An error names the place: `requests[17]: ...`. */
  submitMany(requests: SubmitRequest[], options?: TransactionOptions): Promise<string[]>;
  /** Resolves when the request is completed, failed or cancelled: look at `status`. Throws LQ002 and `WaitTimeoutError`. */
  wait<T = unknown>(id: string, options?: WaitOptions): Promise<LlmRequest<T>>;
  /** Submit and wait. Throws `RequestFailedError` when there is no answer: the request failed or was cancelled. */
  ask<T = unknown>(request: SubmitRequest, options?: WaitOptions): Promise<LlmRequest<T>>;
  /** One request as it is now, with its prompt. Throws LQ002. */
  get<T = unknown>(id: string): Promise<FullLlmRequest<T>>;
  /** Ends a waiting or running request; false when it had already finished. */
  cancel(id: string, reason?: string): Promise<boolean>;
  /** Runs a failed or cancelled request again; false when it is neither. */
  retry(id: string): Promise<boolean>;
  /** Answers the tool calls of a completed request; resolves with the id of the next turn's request. */
  submitToolResults(id: string, results: ToolResult[], options?: TransactionOptions): Promise<string>;
  /** Why a request is not running, or what happened to it. */
  explain(id: string): Promise<RequestExplanation>;
  /**
   * Hands every result of an agent to `handler`, once each, from now on (give or take the milliseconds of a round
   * trip); returns the way to stop. What the handler throws is logged.
   */
  onResult(agentId: string, handler: ResultHandler): () => void;
  /** Lets submits under way finish, ends all waits with `ClientClosedError`, closes its connections. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export function createClient(options: ClientOptions): LlmqClient {
  const logger = options.logger ?? pino({ level: "silent" });
  const pool = options.pool ?? ownPool(options, logger);
  const onLookFailed = (error: unknown) =>
    logger.warn({ err: error }, "could not look for results, will again");
  const channels = createResultChannels({
    connectionString: listenAddress(options, pool),
    onFinished: (_channel, ids) => {
      waits.notified(ids);
      subscriptions.notified(ids);
    },
    onListening: (agentId) => {
      waits.lookAtAll(agentId);
      subscriptions.lookAtAll();
    },
    logger,
  });
  const waits = createWaits({
    look: (ids, finishedOnly) => sql.findRequests(pool, ids, finishedOnly),
    isNotified: () => channels.isNotified,
    watchAgent: channels.watch,
    onLookFailed,
  });
  const subscriptions = createSubscriptions({
    look: (ids) => sql.findRequests(pool, ids, true),
    clock: () => sql.databaseClock(pool),
    finishedSince: (agentIds, sinceMs) => sql.finishedSince(pool, agentIds, sinceMs),
    isNotified: () => channels.isNotified,
    watchAgent: channels.watch,
    onLookFailed,
    onHandlerFailed: (error, requestId) => logger.error({ err: error, requestId }, "a result handler failed"),
  });
  const plain = createSubmitGroups((requests) => sql.submitRequests(pool, requests));
  // A key that an open transaction holds makes its submit wait; those without a key do not wait behind it.
  const keyed = createSubmitGroups((requests) => sql.submitRequests(pool, requests));

  const toJson = (request: SubmitRequest) => {
    const traced = options.traceContext === false ? request : withTraceContext(request);
    return toStorableJson(fromSubmitRequest(traced, options.agentId));
  };
  let closing: Promise<void> | null = null;
  const open = () => {
    if (closing !== null) throw new ClientClosedError();
  };

  async function submit(request: SubmitRequest, { transaction }: TransactionOptions = {}): Promise<string> {
    open();
    const json = toJson(request);
    if (transaction !== undefined) return await submitAlone(transaction, json);
    return (typeof request.idempotencyKey === "string" ? keyed : plain).submit(json);
  }

  async function close(): Promise<void> {
    waits.close();
    subscriptions.close();
    await Promise.all([plain.drain(), keyed.drain(), channels.close()]);
    if (options.pool === undefined) await pool.end();
  }

  return {
    submit,
    async submitMany(requests, { transaction } = {}) {
      open();
      if (requests.length === 0) return [];
      return await submitAll(transaction ?? pool, requests.map(toJson));
    },
    async wait<T>(id: string, waitOptions: WaitOptions = {}) {
      open();
      return (await waits.wait(requestId(id), waitOptions)) as LlmRequest<T>;
    },
    async ask<T>(request: SubmitRequest, waitOptions: WaitOptions = {}) {
      waitOptions.signal?.throwIfAborted();
      const id = await submit(request);
      const finished = await waits.wait(id, waitOptions, request.agentId ?? options.agentId);
      if (finished.status !== "completed") throw new RequestFailedError(finished);
      return finished as LlmRequest<T>;
    },
    async get<T>(id: string) {
      open();
      return await sql.getRequest<T>(pool, requestId(id));
    },
    async cancel(id, reason) {
      open();
      return await sql.cancelRequest(pool, requestId(id), reason ?? null);
    },
    async retry(id) {
      open();
      return await sql.retryRequest(pool, requestId(id));
    },
    async submitToolResults(id, results, { transaction } = {}) {
      open();
      const json = toStorableJson(results.map(fromToolResult));
      return await sql.submitToolResults(transaction ?? pool, requestId(id), json);
    },
    async explain(id) {
      open();
      return await sql.explainRequest(pool, requestId(id));
    },
    onResult(agentId, handler) {
      open();
      return subscriptions.subscribe(agentId, handler);
    },
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  };
}

async function submitAll(on: sql.Queryable, requests: string[]): Promise<string[]> {
  try {
    return await sql.submitRequests(on, requests);
  } catch (error) {
    throw fromDatabase(error);
  }
}

async function submitAlone(on: sql.Queryable, request: string): Promise<string> {
  try {
    const [id] = await sql.submitRequests(on, [request]);
    return id as string;
  } catch (error) {
    throw withoutPlace(error);
  }
}

function withTraceContext(request: SubmitRequest): SubmitRequest {
  const active = activeTraceContext();
  const given = request.context ?? {};
  // What is no object is for the database to refuse.
  if (active === null || typeof given !== "object" || Array.isArray(given) || "traceparent" in given)
    return request;
  return { ...request, context: { ...given, ...active } };
}

function ownPool(options: ClientOptions, logger: Logger): Pool {
  if (options.connectionString === undefined) {
    throw new TypeError("createClient needs a connectionString or a pool");
  }
  const { connectionString, maxConnections = 10 } = options;
  return createPool({ connectionString, max: maxConnections, applicationName: "llmq client", logger });
}

function listenAddress(options: ClientOptions, pool: Pool): string | null {
  if (options.listen === false) return null;
  return options.listenUrl ?? options.connectionString ?? pool.options.connectionString ?? null;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Checked here, since waits share a query: one id that is none would fail it for all. */
function requestId(id: string): string {
  const lower = typeof id === "string" ? id.toLowerCase() : "";
  if (UUID.test(lower)) return lower;
  throw new LlmqError("LQ001", "a request id must be a UUID", { detail: `It is ${String(id)}.` });
}
