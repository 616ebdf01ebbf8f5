import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type {
  BulkOutcome,
  RequestDetail,
  RequestPage,
  Suggestions,
} from "../../../src/http/dashboard/api-request-types.ts";
import type { Agents, ModelSummary, Queues } from "../../../src/http/dashboard/api-traffic-types.ts";
import type { Overview } from "../../../src/http/dashboard/api-types.ts";
import { call, configureModels, queryable, submit, unknownId } from "../../sql/support.ts";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { createOutcomes, readEvents, type Served, serveDashboard } from "./support.ts";

let database: TestDatabase;
let served: Served;
let complete: ReturnType<typeof createOutcomes>["complete"];
let fail: ReturnType<typeof createOutcomes>["fail"];

beforeAll(async () => {
  database = await createTestDatabase();
  await configureModels(database);
  served = await serveDashboard(database);
  ({ complete, fail } = createOutcomes(database));
});
afterAll(async () => {
  await served.stop();
  await database.drop();
});

const on = () => queryable(database);

const list = async (query: string) => (await served.get<RequestPage>(`/api/requests?${query}`)).body;
const idsOf = (page: RequestPage) => page.requests.map(({ id }) => id);
/** What is asked again within a second comes from the cache. */
const fresh = () => `&limit=${10 + Math.floor(Math.random() * 150)}`;

describe("the list of requests", () => {
  test("shows what matches each filter, newest first", async () => {
    const agent = "filters";
    const pending = await submit(on(), { agent_id: agent, task_type: "one" });
    const done = await complete({ agent_id: agent, task_type: "two" });
    const failed = await fail(
      { agent_id: agent, task_type: "two", model: "alone" },
      { error_type: "malformed_response", error_message: "100% wrong_answer" },
    );
    const cancelled = await submit(on(), { agent_id: agent });
    await call(on(), "cancel_llm_request", { request_id: cancelled, reason: "not needed" });
    await submit(on(), { agent_id: "somebody else" });

    expect(idsOf(await list(`agent=${agent}`))).toEqual([cancelled, failed, done, pending]);
    expect(idsOf(await list(`agent=${agent}&status=completed`))).toEqual([done]);
    expect(idsOf(await list(`agent=${agent}&taskType=two`))).toEqual([failed, done]);
    expect(idsOf(await list(`agent=${agent}&model=alone`))).toEqual([failed]);
    expect(idsOf(await list(`agent=${agent}&errorType=malformed_response`))).toEqual([failed]);
    expect(idsOf(await list(`agent=${agent}&text=NOT%20NEEDED`))).toEqual([cancelled]);
    expect(idsOf(await list(`agent=${agent}&text=100%25%20wrong_`)), "% and _ are themselves").toEqual([
      failed,
    ]);
    expect(idsOf(await list(`agent=${agent}&text=1_0`))).toEqual([]);
    expect(idsOf(await list("status=failed&taskType=two"))).toEqual([failed]);
    expect((await list(`agent=${agent}&status=failed`)).requests[0]).toMatchObject({
      id: failed,
      status: "failed",
      agent,
      taskType: "two",
      model: "alone",
      errorType: "malformed_response",
      errorMessage: "100% wrong_answer",
    });
  });

  test("is limited by the time of submit", async () => {
    const agent = "times";
    const id = await submit(on(), { agent_id: agent });
    const minute = (offset: number) =>
      encodeURIComponent(new Date(Date.now() + offset * 60_000).toISOString());
    expect(idsOf(await list(`agent=${agent}&from=${minute(-1)}&to=${minute(1)}`))).toEqual([id]);
    expect(idsOf(await list(`agent=${agent}&from=${minute(1)}`))).toEqual([]);
    expect(idsOf(await list(`agent=${agent}&to=${minute(-1)}`))).toEqual([]);
  });

  test("goes on where the last page ended, also when requests came or ended meanwhile", async () => {
    const agent = "pages";
    const ids: string[] = [];
    for (let n = 0; n < 7; n++)
      ids.unshift(await (n % 2 === 0 ? submit(on(), { agent_id: agent }) : complete({ agent_id: agent })));
    const first = await list(`agent=${agent}&limit=3`);
    expect(idsOf(first)).toEqual(ids.slice(0, 3));
    await submit(on(), { agent_id: agent });
    await call(on(), "cancel_llm_request", { request_id: ids[4] });
    const second = await list(`agent=${agent}&limit=3&before=${first.next}`);
    expect(idsOf(second)).toEqual(ids.slice(3, 6));
    const third = await list(`agent=${agent}&limit=3&before=${second.next}`);
    expect(idsOf(third)).toEqual(ids.slice(6));
    expect(third.next).toBeNull();
  });

  test("says how far it searched when a filter without an index finds little", async () => {
    const agent = "many";
    await database.query(
      `select count(*) from llmq.submit_llm_requests((
         select jsonb_agg(jsonb_build_object('agent_id', $1::text, 'task_type', 't', 'messages', '[{"role": "user", "content": "x"}]'::jsonb))
         from generate_series(1, 10000)))`,
      [agent],
    );
    await database.query(
      `select count(*) from llmq.submit_llm_requests((
         select jsonb_agg(jsonb_build_object('agent_id', $1::text, 'task_type', 't', 'messages', '[{"role": "user", "content": "x"}]'::jsonb))
         from generate_series(1, 10000)))`,
      [agent],
    );
    const oldest = await database.query<{ id: string }>(
      "select id from llmq.queue where agent_id = $1 order by id limit 1",
      [agent],
    );
    const first = await list(`agent=${agent}&status=pending&model=third`);
    expect(first.requests).toEqual([]);
    expect(first.next).toBe(oldest[0]?.id);
    expect(first.searchedTo).not.toBeNull();
    const rest = await list(`agent=${agent}&status=pending&model=third&before=${first.next}`);
    expect(rest).toEqual({ requests: [], next: null, searchedTo: null });
    await database.query("delete from llmq.queue where agent_id = $1", [agent]);
  });

  test.each([
    ["status=done", "status must be one of"],
    ["limit=1000", "limit must be"],
    ["before=abc", "before must be the id"],
    ["from=yesterday", "from must be a time"],
    [`text=${"x".repeat(501)}`, "text must be"],
    ["agent=%00", "agent must be"],
  ])("refuses %s by name", async (query, message) => {
    const { status, body } = await served.get(`/api/requests?${query}`);
    expect([status, body.error]).toEqual([400, expect.stringContaining(message)]);
  });
});

describe("one request", () => {
  test("has its conversation, its calls, and what was wrong at its place", async () => {
    const response = '```json\n{"vendor": 7}\n```';
    const problem = { type: "schema_violation", field: "vendor", message: "must be string" };
    const id = await fail(
      { response_schema: { type: "object" } },
      {
        error_type: "malformed_response",
        error_message: "Malformed or invalid LLM response: vendor must be string",
        response,
        validation_errors: JSON.stringify([problem]),
        calls: [{ outcome: "invalid", latency_ms: 12, status_code: 200, input_tokens: 5, output_tokens: 7 }],
      },
    );
    const { body } = await served.get<RequestDetail>(`/api/requests/${id}`);
    expect(body).toMatchObject({
      id,
      status: "failed",
      problems: [{ ...problem, position: null }],
      content: { response, refusedJson: { vendor: 7 }, messages: [{ role: "user", content: "hello" }] },
      ledger: [
        { number: 1, outcome: "invalid", latencyMs: 12, statusCode: 200, inputTokens: 5, outputTokens: 7 },
      ],
      explanation: { status: "failed" },
      turns: [],
    });
  });

  test("is linked to the other turns of its conversation", async () => {
    const first = await submit(on(), { agent_id: "turns" });
    const calls = { tool_calls: [{ id: "c1", tool_name: "look_up", params: {} }], final_response: null };
    await database.query("select llmq.mark_processing($1)", [first]);
    await database.query("select llmq.mark_completed($1, '', $2)", [first, JSON.stringify(calls)]);
    const [row] = await database.query<{ next: string }>("select llmq.submit_tool_results($1, $2) as next", [
      first,
      JSON.stringify([{ id: "c1", result: 1 }]),
    ]);
    for (const id of [first, row?.next]) {
      const { body } = await served.get<RequestDetail>(`/api/requests/${id}`);
      expect(body.turns.map((turn) => [turn.id, turn.calls])).toEqual([
        [first, ["look_up"]],
        [row?.next, []],
      ]);
    }
  });

  test("that does not exist is 404, and what is no id 400", async () => {
    expect((await served.get(`/api/requests/${unknownId}`)).status).toBe(404);
    expect((await served.get("/api/requests/7")).status).toBe(400);
  });

  test("keeps its prompts and answers to itself when they are hidden", async () => {
    const hiding = await serveDashboard(database, { prompts: "hide" });
    try {
      const secret = "the secret of the prompt";
      const id = await fail(
        { messages: [{ role: "user", content: secret }], context: { secret }, settings: { stop: [secret] } },
        {
          response: secret,
          validation_errors: JSON.stringify([
            { type: "json_decode_error", error: "Unexpected token", position: 3, response_preview: secret },
          ]),
        },
      );
      const { body } = await hiding.get<RequestDetail>(`/api/requests/${id}`);
      expect(body.content).toBeNull();
      expect(body.problems).toEqual([
        { type: "json_decode_error", field: null, message: "Unexpected token", position: 3 },
      ]);
      expect(JSON.stringify(body)).not.toContain(secret);
      expect((await hiding.get("/api/session")).body).toMatchObject({ prompts: "hide" });
    } finally {
      await hiding.stop();
    }
  });
});

describe("actions", () => {
  test("cancel and retry one request, and say when there was nothing to do", async () => {
    const id = await submit(on(), { agent_id: "actions" });
    expect((await served.post(`/api/requests/${id}/cancel`)).body).toEqual({ changed: true });
    expect((await served.post(`/api/requests/${id}/cancel`)).body).toEqual({ changed: false });
    expect((await served.post(`/api/requests/${id}/retry`)).body).toEqual({ changed: true });
    expect((await served.post(`/api/requests/${id}/retry`)).body).toEqual({ changed: false });
    expect((await served.post(`/api/requests/${unknownId}/retry`)).status).toBe(404);
  });

  test("retry all that a filter shows, after having counted them, and no others", async () => {
    const agent = "bulk";
    const failed = [await fail({ agent_id: agent }), await fail({ agent_id: agent })];
    const done = await complete({ agent_id: agent });
    const other = await fail({ agent_id: "not bulk" });
    const dry = await served.post<BulkOutcome>("/api/requests/retry", { filter: { agent }, dryRun: true });
    expect(dry.body).toEqual({ matched: 2, changed: 0, more: false, limit: 1000, refused: 0, reasons: [] });
    const run = await served.post<BulkOutcome>("/api/requests/retry", { filter: { agent }, dryRun: false });
    expect(run.body).toMatchObject({ matched: 2, changed: 2, refused: 0 });
    const page = await list(`agent=${agent}${fresh()}`);
    expect(page.requests.filter(({ status }) => status === "pending").map(({ id }) => id)).toEqual(
      failed.toReversed(),
    );
    expect((await served.get<RequestDetail>(`/api/requests/${done}`)).body.status).toBe("completed");
    expect((await served.get<RequestDetail>(`/api/requests/${other}`)).body.status).toBe("failed");
    const cancel = await served.post<BulkOutcome>("/api/requests/cancel", {
      filter: { agent },
      dryRun: false,
    });
    expect(cancel.body).toMatchObject({ matched: 2, changed: 2 });
  });

  test("what one request is refused for keeps no other from being retried", async () => {
    const agent = "refusals";
    await database.query("select llmq.configure_model('gone', 'sim')");
    const gone = await fail({ agent_id: agent, model: "gone" });
    const fine = await fail({ agent_id: agent });
    await database.query("delete from llmq.models where name = 'gone'");
    const { body } = await served.post<BulkOutcome>("/api/requests/retry", {
      filter: { agent },
      dryRun: false,
    });
    expect(body).toMatchObject({ matched: 2, changed: 1, refused: 1 });
    expect(body.reasons[0]).toContain("gone");
    expect((await served.post(`/api/requests/${gone}/retry`)).status).toBe(409);
    expect((await served.get<RequestDetail>(`/api/requests/${fine}`)).body.status).toBe("pending");
  });

  test("pause and resume a model and an agent", async () => {
    for (const paused of [true, false]) {
      expect((await served.post("/api/models/pause", { name: "alone", paused })).body).toEqual({
        changed: true,
      });
      expect((await served.post("/api/agents/pause", { name: "pausable", paused })).body).toEqual({
        changed: true,
      });
      const rows = await database.query(
        "select (select paused from llmq.models where name = 'alone') as model, (select paused from llmq.agents where agent_id = 'pausable') as agent",
      );
      expect(rows).toEqual([{ model: paused, agent: paused }]);
    }
    expect((await served.post("/api/models/pause", { name: "no such", paused: true })).status).toBe(409);
    expect((await served.post("/api/models/pause", { name: "alone", paused: "yes" })).status).toBe(400);
  });
});

describe("models, agents and queues", () => {
  test("a model tells of its limits and of its breaker", async () => {
    await database.query(
      "select llmq.configure_model('third', requests_per_minute => 60, max_concurrency => 3); " +
        "insert into llmq.model_state (lane, cooling_until, reason, error_class) " +
        "select lane, now() + interval '1 hour', 'too many requests', 'capacity' from llmq.models where name = 'third'",
    );
    const { body } = await served.get<{ models: ModelSummary[] }>("/api/models");
    expect(body.models.find(({ name }) => name === "third")).toMatchObject({
      provider: "sim",
      paused: false,
      limits: { requestsPerMinute: 60, inputTokensPerMinute: null, maxConcurrency: 3 },
      used: { requests: 0, inputTokens: 0, outputTokens: 0 },
      breaker: {
        state: "cooling",
        reason: "too many requests",
        errorClass: "capacity",
        coolingUntil: expect.any(String),
      },
    });
    expect(body.models.find(({ name }) => name === "first")?.breaker.state).toBe("closed");
  });

  test("an agent has a share, a weight and a budget, configured or not", async () => {
    await database.query("select llmq.configure_agent('rich', weight => 2, daily_budget_usd => 10)");
    await complete({ agent_id: "unconfigured" });
    // Its activity is as old as the last look.
    const agents = await eventually(async () => {
      const { body } = await served.get<Agents>("/api/agents");
      return body.agents.some(({ name }) => name === "unconfigured") && body.agents;
    });
    expect(agents.find(({ name }) => name === "rich")).toMatchObject({
      configured: true,
      weight: 2,
      dailyBudgetUsd: 10,
      spentTodayUsd: 0,
    });
    const unconfigured = agents.find(({ name }) => name === "unconfigured");
    expect(unconfigured).toMatchObject({ configured: false, weight: 1, activity: { completed: 1 } });
    expect(unconfigured?.share).toBeGreaterThan(0);
    expect(agents.reduce((shares, { share }) => shares + (share ?? 0), 0)).toBeCloseTo(1);
  });

  test("shared queues say what waits, and what was set aside", async () => {
    await database.query(
      "insert into llmq.set_aside (queue_name, message_id, message, error) values ('job_results', 7, '{\"a\": 1}', 'no handler')",
    );
    const { body } = await served.get<Queues>("/api/queues");
    expect(body.hasPgmq).toBe(database.hasPgmq);
    expect(body.queues.map(({ name }) => name)).toContain("job_results");
    expect(body.setAside[0]).toMatchObject({
      queueName: "job_results",
      messageId: "7",
      error: "no handler",
      message: { a: 1 },
    });
  });

  test("filters can be filled from what is there", async () => {
    await submit(on(), { agent_id: "suggested", task_type: "suggestion" });
    const { body } = await served.get<Suggestions>("/api/suggestions");
    expect(body.agents).toContain("suggested");
    expect(body.taskTypes).toContain("suggestion");
    expect(body.models).toEqual(expect.arrayContaining(["first", "second", "third"]));
  });
});

describe("live", () => {
  test("a page gets the history first, then every change, by itself", async () => {
    const stop = new AbortController();
    const events = readEvents(served.url, stop.signal);
    const first = await events.next();
    expect(first.value).toMatchObject({ event: "overview" });
    const before = first.value?.data as Overview;
    await complete({ agent_id: "live" });
    served.nudge();
    for await (const { event, data } of events) {
      expect(event).toBe("tick");
      const overview = data as Overview;
      if (overview.total.completed <= before.total.completed) continue;
      const agent = overview.agents.find(({ name }) => name === "live");
      expect(agent).toMatchObject({ completed: 1, failed: 0 });
      expect(overview.buckets.length).toBeGreaterThan(0);
      break;
    }
    stop.abort();
  });

  test("while nobody looks, nothing is read", async () => {
    const quiet = await serveDashboard(database, {
      poolConfig: { application_name: "quiet dashboard", max: 1 },
    });
    try {
      const lastQuery = async () =>
        (
          await database.query<{ at: Date }>(
            "select max(query_start) as at from pg_stat_activity where application_name = 'quiet dashboard'",
          )
        )[0]?.at?.getTime();
      const stop = new AbortController();
      const events = readEvents(quiet.url, stop.signal);
      await events.next();
      await events.next();
      stop.abort();
      // Two looks in a row that find no later query, further apart than a pause of the reader.
      let last = await lastQuery();
      await eventually(
        async () => {
          await new Promise((wake) => setTimeout(wake, 1_500));
          const now = await lastQuery();
          const isSame = now === last;
          last = now;
          return isSame;
        },
        { what: "silence" },
      );
    } finally {
      await quiet.stop();
    }
  });

  test("a database that does not answer is told of, and read again when it does", async () => {
    const stop = new AbortController();
    const events = readEvents(served.url, stop.signal);
    await events.next();
    await database.query("alter view llmq.queue_depth rename to queue_depth_away");
    const wait = async (wanted: string) => {
      for (;;) {
        const { value } = await events.next();
        if (value === undefined || value.event === wanted) return value?.event;
      }
    };
    try {
      expect(await wait("trouble")).toBe("trouble");
    } finally {
      await database.query("alter view llmq.queue_depth_away rename to queue_depth");
    }
    expect(await wait("tick")).toBe("tick");
    stop.abort();
  });

  test("stopping the server ends the streams of open pages, and the reading, at once", async () => {
    const stopped = await serveDashboard(database);
    const events = readEvents(stopped.url, new AbortController().signal);
    await events.next();
    await stopped.stop();
    for await (const { event } of events) expect(event).not.toBe("trouble");
    await expect(fetch(stopped.url)).rejects.toThrow();
  });
});
