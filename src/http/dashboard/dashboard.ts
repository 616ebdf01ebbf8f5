/**
 * The dashboard: a page and its API. The page is for everybody who can reach the address and knows nothing; the
 * API wants the token, or, when none is set, a loopback address.
 *
 *   api      what each path answers      live     the one reader behind all open pages
 *   guard    nothing from other sites    history  the last half hour
 *   assets   the built page              events   live, as server-sent events
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Pool } from "pg";
import type { Logger } from "pino";
import { createReads } from "../../database/reads.ts";
import type { Access } from "../access.ts";
import { type Answer, json, send } from "../answer.ts";
import { createApi } from "./api.ts";
import type { Session } from "./api-types.ts";
import { createAssets, PAGE_HEADERS } from "./assets.ts";
import { createEvents } from "./events.ts";
import { ApiError, describeFailure } from "./failure.ts";
import { readBody, refuseForeign } from "./guard.ts";
import { createLive } from "./live.ts";

export type DashboardOptions = {
  /** A small pool of its own, so that no page waits for the queue, nor the queue for a page. */
  pool: Pool;
  /** Whether prompts and answers leave the database. */
  prompts: "show" | "hide";
  /** Where the built page is; the default is the program's own. */
  assetsDirectory?: string;
  version: string;
  logger: Logger;
};

export type Dashboard = {
  /** False: not one of its paths, nothing was done. `isClosed`: without a token on an open address. */
  handle(
    request: IncomingMessage,
    response: ServerResponse,
    server: { access: Access; isClosed: boolean },
  ): Promise<boolean>;
  /** Something happened in the queue: whoever looks sees it soon. */
  nudge(): void;
  /** Ends the streams and the reading; the pool stays the caller's to close. */
  stop(): Promise<void>;
};

export function createDashboard(options: DashboardOptions): Dashboard {
  const { pool, prompts, version, logger } = options;
  const read = createReads(pool);
  const live = createLive({ read, logger });
  const events = createEvents(live);
  const api = createApi({ pool, read, live, prompts });
  const assets = createAssets(options.assetsDirectory);

  type Server = { access: Access; isClosed: boolean };

  async function answerApi(request: IncomingMessage, url: URL, server: Server): Promise<Answer> {
    refuseForeign(request);
    if (url.pathname === "/api/session") return await answerSession(request, server);
    if (server.isClosed) throw new ApiError(403, "the dashboard is closed on this address", CLOSED_HINT);
    if (!server.access.isAllowed(request)) throw new ApiError(401, "a token is needed");
    const body = await api.answer(request, url);
    if (body === null) throw new ApiError(404, "no such path");
    return json(200, body);
  }

  /** GET: what this browser may do; POST: `{"token"}` for a cookie; DELETE: the end of it. */
  async function answerSession(request: IncomingMessage, { access, isClosed }: Server): Promise<Answer> {
    if (request.method === "DELETE") {
      return { ...json(200, {}), headers: { "set-cookie": access.logOut(request) } };
    }
    if (request.method === "POST") {
      const { token } = await readBody(request);
      const cookie = typeof token === "string" ? access.logIn(request, token) : null;
      if (cookie === null)
        throw new ApiError(401, "this is not the token", "It is the value of LLMQ_HTTP_TOKEN.");
      return { ...json(200, {}), headers: { "set-cookie": cookie } };
    }
    const isAllowed = access.isAllowed(request);
    const session: Session = {
      access: isClosed ? "closed" : isAllowed ? "open" : "login",
      usesToken: access.usesToken,
      prompts,
      version: isAllowed ? version : "",
    };
    return json(200, session);
  }

  function fail(request: IncomingMessage, error: unknown): Answer {
    const described = describeFailure(error);
    if (described !== null) return json(described.status, described.body);
    logger.error({ err: error, path: request.url }, "the dashboard could not answer");
    return json(500, { error: "internal error", hint: "The orchestrator's log says more." });
  }

  return {
    async handle(request, response, server) {
      const url = URL.parse(request.url ?? "/", "http://dashboard");
      if (url === null) return false;
      const isApi = url.pathname.startsWith("/api/");
      try {
        if (isApi && url.pathname === "/api/events" && request.method === "GET") {
          refuseForeign(request);
          if (!server.isClosed && server.access.isAllowed(request)) {
            events.open(response);
            return true;
          }
        }
        if (!isApi && request.method !== "GET" && request.method !== "HEAD") return false;
        const answer = isApi ? await answerApi(request, url, server) : await assets.answer(url.pathname);
        if (answer === null) return false;
        send(request, response, answer);
      } catch (error) {
        const answer = fail(request, error);
        send(request, response, { ...answer, headers: { ...PAGE_HEADERS, ...answer.headers } });
      }
      return true;
    },
    nudge: () => live.nudge(),
    async stop() {
      events.close();
      await live.stop();
    },
  };
}

const CLOSED_HINT =
  "It can cancel and retry, so it wants a token wherever others can reach it: set LLMQ_HTTP_TOKEN.";
