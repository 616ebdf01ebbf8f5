/** The dashboard's API: what each path answers. Who may ask is decided before (dashboard.ts). */
import type { IncomingMessage } from "node:http";
import type { Pool } from "pg";
import { createActions } from "../../database/dashboard/actions.ts";
import { readAgents, readModels, readSpending } from "../../database/dashboard/models.ts";
import { readRequestDetail } from "../../database/dashboard/request-detail.ts";
import { readRequestPage } from "../../database/dashboard/request-list.ts";
import { readQueues } from "../../database/dashboard/shared-queues.ts";
import { readSuggestions } from "../../database/dashboard/suggestions.ts";
import type { Read } from "../../database/reads.ts";
import { type Cache, createCache } from "../cache.ts";
import type { Agents, ModelSummary } from "./api-traffic-types.ts";
import { runBulk } from "./bulk.ts";
import { ApiError } from "./failure.ts";
import { readBody } from "./guard.ts";
import { idle } from "./history.ts";
import { readFilter, readFlag, readId, readLimit, readText } from "./input.ts";
import type { Live } from "./live.ts";

/** However many look, a page is read from the database once within this. */
const SHARED_MS = 1_000;
const SPENDING_MS = 60_000;
const SUGGESTIONS_MS = 30_000;

export type ApiOptions = {
  pool: Pool;
  read: Read;
  live: Live;
  prompts: "show" | "hide";
};

type Call = { url: URL; id: string; request: IncomingMessage };
type Route = { method: "GET" | "POST"; path: RegExp; run(call: Call): Promise<object> };

export type Api = {
  /** The answer's body; null: no such path. Throws ApiError, or what the database said. */
  answer(request: IncomingMessage, url: URL): Promise<object | null>;
};

export function createApi(options: ApiOptions): Api {
  const cached = createCache(SHARED_MS);
  const routes = [...readingRoutes(options, cached), ...actionRoutes(options, cached)];
  return {
    async answer(request, url) {
      const found = routes.filter(({ path }) => path.test(url.pathname));
      if (found.length === 0) return null;
      const method = request.method === "HEAD" ? "GET" : request.method;
      const route = found.find((one) => one.method === method);
      if (route === undefined) throw new ApiError(405, `${found[0]?.method} only`);
      return await route.run({ url, request, id: route.path.exec(url.pathname)?.[1] ?? "" });
    },
  };
}

function readingRoutes({ read, live, prompts }: ApiOptions, cached: Cache): Route[] {
  const get = (path: RegExp, run: Route["run"]): Route => ({ method: "GET", path, run });
  return [
    get(/^\/api\/overview$/, () => live.current()),
    get(/^\/api\/requests$/, ({ url }) => {
      const filter = readFilter(Object.fromEntries(url.searchParams));
      const before = url.searchParams.get("before");
      const paging = {
        before: before === null ? null : readId("before", before),
        limit: readLimit(url.searchParams.get("limit")),
      };
      const key = `requests ${JSON.stringify([filter, paging])}`;
      return cached(key, () => readRequestPage(read, filter, paging));
    }),
    get(/^\/api\/requests\/([^/]+)$/, async ({ id }) => {
      const request = readId("the last part of the path", id);
      const found = await cached(`request ${request}`, async () => ({
        detail: await readRequestDetail(read, request, prompts),
      }));
      if (found.detail !== null) return found.detail;
      throw new ApiError(404, "there is no such request", "Finished requests go when their retention ends.");
    }),
    get(/^\/api\/models$/, () => cached("models", () => listModels(read, live))),
    get(/^\/api\/agents$/, async () => {
      const spending = await cached(
        "spending",
        async () => ({ day: await readSpending(read, "day"), month: await readSpending(read, "month") }),
        SPENDING_MS,
      );
      return await cached("agents", () => listAgents(read, live, spending));
    }),
    get(/^\/api\/queues$/, () => cached("queues", () => readQueues(read, prompts))),
    get(/^\/api\/suggestions$/, () => cached("suggestions", () => readSuggestions(read), SUGGESTIONS_MS)),
  ];
}

function actionRoutes({ pool, read, live }: ApiOptions, cached: Cache): Route[] {
  const actions = createActions(pool);
  const post = (path: RegExp, run: Route["run"]): Route => ({
    method: "POST",
    path,
    run: async (call) => {
      try {
        return await run(call);
      } finally {
        cached.clear();
        live.nudge();
      }
    },
  });
  return [
    post(/^\/api\/requests\/(retry|cancel)$/, async ({ id, request }) => {
      const { filter, dryRun } = await readBody(request);
      return await runBulk(read, actions, id === "retry" ? "retry" : "cancel", {
        filter: readFilter((filter ?? {}) as Record<string, unknown>),
        dryRun: readFlag("dryRun", dryRun),
      });
    }),
    post(/^\/api\/requests\/([^/]+)\/cancel$/, async ({ id }) => ({
      changed: await actions.cancel(readId("the id", id)),
    })),
    post(/^\/api\/requests\/([^/]+)\/retry$/, async ({ id }) => ({
      changed: await actions.retry(readId("the id", id)),
    })),
    post(/^\/api\/(models|agents)\/pause$/, async ({ id, request }) => {
      const body = await readBody(request);
      const name = readText("name", body.name);
      const paused = readFlag("paused", body.paused);
      await (id === "models" ? actions.pauseModel(name, paused) : actions.pauseAgent(name, paused));
      return { changed: true };
    }),
  ];
}

async function listModels(read: Read, live: Live): Promise<{ models: ModelSummary[] }> {
  const [models, { models: activities }] = await Promise.all([readModels(read), live.current()]);
  return {
    models: models.map((model) => ({
      ...model,
      activity: activities.find(({ name }) => name === model.name) ?? idle(model.name),
    })),
  };
}

type Spent = Record<"day" | "month", Map<string, number> | null>;

async function listAgents(read: Read, live: Live, spent: Spent): Promise<Agents> {
  const [configured, { agents: activities }] = await Promise.all([readAgents(read), live.current()]);
  const unconfigured = activities
    .filter(({ name }) => !configured.some((agent) => agent.name === name))
    .map(({ name }) => ({
      name,
      configured: false,
      weight: 1,
      paused: false,
      maxConcurrency: null,
      dailyBudgetUsd: null,
      monthlyBudgetUsd: null,
      spentTodayUsd: null,
      spentThisMonthUsd: null,
      owner: null,
    }));
  const starts = (name: string) => {
    const one = activities.find((activity) => activity.name === name);
    return one === undefined ? 0 : one.completed + one.failed + one.cancelled + one.processing;
  };
  const all = activities.reduce((sum, { name }) => sum + starts(name), 0);
  const agents = [...configured, ...unconfigured].map((agent) => ({
    ...agent,
    spentTodayUsd: agent.spentTodayUsd ?? spent.day?.get(agent.name) ?? null,
    spentThisMonthUsd: agent.spentThisMonthUsd ?? spent.month?.get(agent.name) ?? null,
    share: all === 0 ? null : starts(agent.name) / all,
    activity: activities.find(({ name }) => name === agent.name) ?? idle(agent.name),
  }));
  return {
    agents: agents.sort((one, other) => starts(other.name) - starts(one.name)),
    isSpendingKnown: spent.day !== null && spent.month !== null,
  };
}
