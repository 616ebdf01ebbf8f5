/** `/healthz`, `/readyz`, `/metrics`, and the dashboard. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Pool } from "pg";
import type { Logger } from "pino";
import { UsageError } from "../errors.ts";
import type { OrchestratorStats } from "../orchestrator/orchestrator.ts";
import { createAccess, isLoopback } from "./access.ts";
import { type Answer, json, send } from "./answer.ts";
import type { Dashboard } from "./dashboard/dashboard.ts";
import { checkProcess, checkReadiness } from "./health.ts";
import type { Metrics } from "./metrics.ts";

export type HttpServerOptions = {
  host: string;
  /** 0: any free port. */
  port: number;
  /** For everything but `/healthz`, `/readyz` and the empty page of the dashboard; null: none is asked for. */
  token: string | null;
  pool: Pick<Pool, "query">;
  metrics: Pick<Metrics, "render" | "contentType">;
  stats: () => OrchestratorStats;
  /** Stopped together with the server. */
  dashboard?: Dashboard | null;
  logger: Pick<Logger, "warn" | "error">;
};

export type HttpServer = {
  /** Listens; the URL it can be reached at. Rejects with a UsageError when the address cannot be had. */
  start(): Promise<string>;
  /** Ends open connections after the answers under way. Safe to repeat. */
  stop(): Promise<void>;
};

type Route = { open: boolean; answer(): Promise<Answer> | Answer };

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { host, port, token, dashboard, logger } = options;
  const access = createAccess(token);
  const routes = createRoutes(options);
  const server = createServer((request, response) => {
    answerOrDelegate().catch((error: unknown) => {
      logger.error({ err: error, path: request.url }, "could not answer");
      if (!response.headersSent) send(request, response, json(500, { error: "internal error, see the log" }));
    });

    async function answerOrDelegate(): Promise<void> {
      const isClosed = token === null && !isLoopback(host);
      const isOurs = isKnownHost(request, host) && !routes.has(pathOf(request));
      if (isOurs && (await dashboard?.handle(request, response, { access, isClosed }))) return;
      send(request, response, await answer(request));
    }
  });
  let stopped: Promise<void> | null = null;
  server.headersTimeout = 10_000;
  server.requestTimeout = 10_000;

  async function answer(request: IncomingMessage): Promise<Answer> {
    if (!isKnownHost(request, host)) return json(421, { error: "this server does not answer for that host" });
    const route = routes.get(pathOf(request));
    if (route?.open !== true && !access.isAllowed(request)) {
      return {
        ...json(401, { error: "a bearer token is needed" }),
        headers: { "www-authenticate": "Bearer" },
      };
    }
    if (route === undefined) return json(404, { error: "no such path", paths: [...routes.keys()] });
    if (request.method !== "GET" && request.method !== "HEAD") {
      return { ...json(405, { error: "GET only" }), headers: { allow: "GET, HEAD" } };
    }
    return await route.answer();
  }

  function closeServer(): Promise<void> {
    return new Promise((resolve) => {
      if (!server.listening) return resolve();
      server.close(() => resolve());
      server.closeIdleConnections();
      // A scraper that keeps its connection busy does not hold up a shutdown.
      setTimeout(() => server.closeAllConnections(), 1_000).unref();
    });
  }

  return {
    start: () =>
      new Promise((resolve, reject) => {
        server.once("error", (error: NodeJS.ErrnoException) => reject(cannotListen(error, host, port)));
        server.listen(port, host, () => {
          server.removeAllListeners("error");
          server.on("error", (error) => logger.warn({ err: error }, "HTTP server"));
          const address = server.address() as AddressInfo;
          if (!isLoopback(host) && token === null) {
            logger.warn({ host }, "metrics are open to the network: set LLMQ_HTTP_TOKEN");
          }
          resolve(
            `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`,
          );
        });
      }),
    stop() {
      stopped ??= Promise.all([closeServer(), dashboard?.stop()]).then(() => undefined);
      return stopped;
    },
  };
}

function createRoutes({ pool, metrics, stats }: HttpServerOptions): Map<string, Route> {
  return new Map<string, Route>([
    ["/healthz", { open: true, answer: () => json(200, { status: "alive", checks: [checkProcess()] }) }],
    [
      "/readyz",
      {
        open: true,
        answer: async () => {
          const { ready, checks } = await checkReadiness(pool, stats);
          return json(ready ? 200 : 503, { status: ready ? "ready" : "not ready", checks });
        },
      },
    ],
    [
      "/metrics",
      {
        open: false,
        answer: async () => ({
          status: 200,
          type: metrics.contentType,
          body: await metrics.render(stats()),
        }),
      },
    ],
  ]);
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "/").split("?", 1)[0] ?? "/";
}

/**
 * On a loopback address only local names are answered for: otherwise a web page could read it through a name
 * of its own that points to 127.0.0.1 (DNS rebinding).
 */
function isKnownHost(request: IncomingMessage, host: string): boolean {
  if (!isLoopback(host)) return true;
  const name = (request.headers.host ?? "").replace(/:\d+$/, "").toLowerCase();
  return name === "" || name === host.toLowerCase() || isLoopback(name.replace(/^\[(.*)\]$/, "$1"));
}

function cannotListen(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const reason = {
    EADDRINUSE: "another process uses it",
    EACCES: "this user may not use it",
    EADDRNOTAVAIL: "this machine does not have that address",
    ENOTFOUND: "there is no such host",
  }[error.code ?? ""];
  return new UsageError(
    `health and metrics cannot be served on ${host}:${port}: ${reason ?? error.message}`,
    {
      hint: "Set LLMQ_HTTP_PORT (0: any free port, off: none) or LLMQ_HTTP_HOST.",
      cause: error,
    },
  );
}
