import { createDashboard } from "../../../src/http/dashboard/dashboard.ts";
import { createMetrics } from "../../../src/http/metrics.ts";
import { createHttpServer } from "../../../src/http/server.ts";
import { createLogger } from "../../../src/logger.ts";
import { call, queryable, submit } from "../../sql/support.ts";
import type { TestDatabase } from "../../support/database.ts";
import { wellStats } from "../stats.ts";

export type Served = {
  url: string;
  /** GET, and the JSON of the answer. */
  get<T = Record<string, unknown>>(path: string, headers?: Record<string, string>): Promise<Reply<T>>;
  /** As the page does it, unless other headers are given. */
  post<T = Record<string, unknown>>(
    path: string,
    body?: object,
    headers?: Record<string, string>,
  ): Promise<Reply<T>>;
  nudge(): void;
  stop(): Promise<void>;
};

export type Reply<T> = { status: number; body: T; headers: Headers };

export type ServeOptions = {
  token?: string;
  host?: string;
  port?: number;
  prompts?: "show" | "hide";
  assetsDirectory?: string;
  /** Of another role, for example; the default is the test's own. */
  poolConfig?: object;
};

/** The whole server with a dashboard, without an orchestrator. */
export async function serveDashboard(database: TestDatabase, options: ServeOptions = {}): Promise<Served> {
  const pool = database.pool({ max: 2, ...options.poolConfig });
  const logger = createLogger({ level: "silent" });
  const dashboard = createDashboard({
    pool,
    prompts: options.prompts ?? "show",
    version: "1.2.3",
    logger,
    ...(options.assetsDirectory === undefined ? {} : { assetsDirectory: options.assetsDirectory }),
  });
  const server = createHttpServer({
    host: options.host ?? "127.0.0.1",
    port: options.port ?? 0,
    token: options.token ?? null,
    pool,
    metrics: createMetrics(),
    stats: () => wellStats(),
    dashboard,
    logger,
  });
  const url = (await server.start()).replace("0.0.0.0", "127.0.0.1");
  const reply = async <T>(response: Response): Promise<Reply<T>> => ({
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as T,
  });
  return {
    url,
    get: async (path, headers = {}) => reply(await fetch(url + path, { headers })),
    post: async (path, body = {}, headers = { "x-llmq-action": "1" }) =>
      reply(await fetch(url + path, { method: "POST", body: JSON.stringify(body), headers })),
    nudge: dashboard.nudge,
    stop: () => server.stop(),
  };
}

/** Events of `GET /api/events`, as they come. */
export async function* readEvents(
  url: string,
  signal: AbortSignal,
): AsyncGenerator<{ event: string; data: Record<string, unknown> }, void> {
  const response = await fetch(`${url}/api/events`, { signal });
  let text = "";
  for await (const chunk of (response.body as ReadableStream<Uint8Array>).pipeThrough(
    new TextDecoderStream(),
  )) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const block = text.slice(0, end);
      text = text.slice(end + 2);
      const event = /^event: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (event !== undefined && data !== undefined) yield { event, data: JSON.parse(data) };
    }
  }
}

/** Requests that have ended, by their ids. */
export function createOutcomes(database: TestDatabase) {
  const on = queryable(database);
  async function started(over: Record<string, unknown>): Promise<string> {
    const id = await submit(on, over);
    await database.query("select llmq.mark_processing($1)", [id]);
    return id;
  }
  return {
    async complete(over: Record<string, unknown> = {}, response = "Hi"): Promise<string> {
      const id = await started(over);
      await database.query("select llmq.mark_completed($1, $2)", [id, response]);
      return id;
    },
    async fail(over: Record<string, unknown> = {}, outcome: Record<string, unknown> = {}): Promise<string> {
      const id = await started(over);
      await call(on, "mark_failed", {
        request_id: id,
        error_type: "exception",
        error_message: "it broke",
        retry: false,
        ...outcome,
      });
      return id;
    },
  };
}
