import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { call, callOne, claim, passTime, submit } from "./support.ts";

let database: TestDatabase;
let on: pg.Client;
let other: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  [on, other] = await Promise.all([database.connect(), database.connect()]);
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.query(`
    truncate llmq.queue, llmq.in_flight, llmq.twins, llmq.requests, llmq.results, llmq.attempts, llmq.usage, llmq.model_state, llmq.cached_answers, llmq.agent_usage;
    delete from llmq.lane_marks; delete from llmq.routes; delete from llmq.models; delete from llmq.providers; delete from llmq.agents;
    select llmq.configure_provider('sim', 'sim');
    select llmq.configure_model('m', 'sim');
    select llmq.configure_model('n', 'sim');
    select llmq.configure_route('*', array['m', 'n']);
  `);
});

type Taken = { id: string; claim_id: string };

async function submitMany(count: number, over: Record<string, unknown> = {}): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) ids.push(await submit(on, over));
  return ids;
}

const complete = (requests: Taken[], over: object = {}) =>
  call(on, "complete_llm_requests", {
    answers: requests.map((request) => ({
      request_id: request.id,
      claim_id: request.claim_id,
      response: "done",
      calls: [{ outcome: "answered", status_code: 200, input_tokens: 10, output_tokens: 5, ...over }],
    })),
  });

const holds = () =>
  database.query(
    "select hold::text, count(*)::int from llmq.queue where hold is not null group by 1 order by 1",
  );

describe("an agent's concurrency", () => {
  test("what is over it is held, out of everybody's way, and comes back call by call, in order", async () => {
    await callOne(on, "configure_agent", { agent_id: "a", max_concurrency: 2 });
    const ids = await submitMany(5, { agent_id: "a" });
    const b = await submit(on, { agent_id: "b" });
    const first = await claim(on);
    expect(first.map((request) => request.id).sort()).toEqual([ids[0], ids[1], b].sort());
    expect(first[0]).toMatchObject({ concurrency_limited: true });
    expect(await holds()).toEqual([{ hold: "agent_concurrency", count: 3 }]);
    expect(await claim(on)).toEqual([]);
    await complete(first.filter((request) => request.id === ids[0]));
    expect((await claim(on)).map((request) => request.id)).toEqual([ids[2]]);
    expect(await claim(on)).toEqual([]);
  });

  test("holds over models that are claimed at the same time", async () => {
    await callOne(on, "configure_agent", { agent_id: "a", max_concurrency: 2 });
    await submitMany(3, { agent_id: "a", model: "m" });
    await submitMany(3, { agent_id: "a", model: "n" });
    await on.query("begin");
    expect(await claim(on, { models: ["m"], max_requests: 2 })).toHaveLength(2);
    expect(await claim(other, { models: ["n"] })).toHaveLength(0);
    await on.query("commit");
    expect(await claim(other, { models: ["n"] })).toHaveLength(0);
    const [running] = await database.query("select count(*)::int from llmq.in_flight");
    expect(running?.count).toBe(2);
  });

  test("a backlog of thousands leaves the lane in one claim, for somebody who came last", async () => {
    await callOne(on, "configure_agent", { agent_id: "a", max_concurrency: 1, weight: 1000 });
    await database.query(`
      select count(*) from llmq.submit_llm_requests((
        select jsonb_agg(jsonb_build_object('agent_id', 'a', 'task_type', 't', 'messages', '[{"role": "user", "content": "hi"}]'::jsonb))
        from generate_series(1, 1500)
      ))
    `);
    await submit(on, { agent_id: "b" });
    const agents = (await claim(on)).map((request) => request.agent_id);
    expect(agents.sort()).toEqual(["a", "b"]);
  });

  test("a limit that is raised, by function or by hand, lets them run at once", async () => {
    await callOne(on, "configure_agent", { agent_id: "a", max_concurrency: 1 });
    await submitMany(6, { agent_id: "a" });
    expect(await claim(on)).toHaveLength(1);
    await callOne(on, "configure_agent", { agent_id: "a", max_concurrency: 3 });
    expect(await claim(on)).toHaveLength(2);
    await database.query("update llmq.agents set max_concurrency = null");
    expect(await claim(on)).toHaveLength(3);
    expect(await holds()).toEqual([]);
  });

  test("the sweep finds what a finish could not see", async () => {
    await callOne(on, "configure_agent", { agent_id: "a", max_concurrency: 1 });
    await submitMany(2, { agent_id: "a" });
    await claim(on);
    await database.query("delete from llmq.in_flight");
    expect(await claim(on)).toEqual([]);
    expect(await callOne(on, "release_llm_holds")).toBe(1);
    expect(await claim(on)).toHaveLength(1);
  });

  test("agents take turns in the sweep, and it goes round", async () => {
    for (const agent of ["a", "b", "c"]) {
      await callOne(on, "configure_agent", { agent_id: agent, max_concurrency: 1 });
      await submitMany(2, { agent_id: agent });
    }
    expect(await claim(on)).toHaveLength(3);
    await database.query("delete from llmq.in_flight");
    const released: number[] = [];
    for (let n = 0; n < 4; n += 1)
      released.push(await callOne<number>(on, "release_llm_holds", { max_agents: 1 }));
    expect(released.reduce((sum, count) => sum + count)).toBe(3);
  });
});

describe("a pause", () => {
  test("of an agent holds what waits and nobody else, and its end lets it run", async () => {
    await submitMany(3, { agent_id: "a" });
    await callOne(on, "configure_agent", { agent_id: "a", paused: true });
    await submit(on, { agent_id: "b" });
    expect((await claim(on)).map((request) => request.agent_id)).toEqual(["b"]);
    expect(await holds()).toEqual([{ hold: "agent_paused", count: 3 }]);
    await callOne(on, "configure_agent", { agent_id: "a", paused: false });
    expect(await claim(on)).toHaveLength(3);
  });

  test("of a route holds what it routes; who names the model is not routed", async () => {
    await callOne(on, "configure_route", { complexity: "simple", models: ["m"], task_type: "batch" });
    await submitMany(2, { task_type: "batch", complexity: "simple" });
    const named = await submit(on, { task_type: "batch", complexity: "simple", model: "m" });
    const elsewhere = await submit(on, { task_type: "batch", complexity: "medium" });
    await callOne(on, "configure_route", { complexity: "simple", task_type: "batch", paused: true });
    expect((await claim(on)).map((request) => request.id).sort()).toEqual([named, elsewhere].sort());
    expect(await holds()).toEqual([{ hold: "route_paused", count: 2 }]);
    await callOne(on, "configure_route", { complexity: "simple", task_type: "batch", paused: false });
    expect(await claim(on)).toHaveLength(2);
  });

  test("of a model leaves no estimate of the start, until it ends", async () => {
    const id = await submit(on);
    const explained = () => callOne<Record<string, unknown>>(on, "explain_llm_request", { request_id: id });
    await callOne(on, "configure_model", { name: "m", paused: true });
    expect(await claim(on)).toEqual([]);
    expect(await explained()).toMatchObject({ why: "The model m is paused." });
    expect(await explained()).not.toHaveProperty("estimated_start");
    await callOne(on, "configure_model", { name: "m", paused: false });
    expect(await explained()).toHaveProperty("estimated_start");
  });

  test("held requests can be cancelled, expire and be explained", async () => {
    await callOne(on, "configure_agent", { agent_id: "a", paused: true });
    const [cancelled, expired] = await submitMany(2, {
      agent_id: "a",
      deadline: new Date(Date.now() + 3_600_000),
    });
    await claim(on);
    const explained = await callOne<{ why: string }>(on, "explain_llm_request", { request_id: expired });
    expect(explained.why).toContain("paused");
    expect(await callOne(on, "cancel_llm_request", { request_id: cancelled })).toBe(true);
    await passTime(database, 4_000);
    expect(await callOne(on, "expire_llm_requests")).toBe(1);
    expect(await holds()).toEqual([]);
  });
});

describe("a budget", () => {
  // 1 USD per answer of 1,000 tokens.
  const request = { agent_id: "a", settings: { max_tokens: 1_000 } };
  const answered = { input_tokens: 0, output_tokens: 1_000 };

  beforeEach(async () => {
    for (const model of ["m", "n"])
      await callOne(on, "configure_price", { model, input_per_million: 0, output_per_million: 1_000 });
  });

  test("what it covers starts, the rest is held until the next day, and it is what calls really cost that counts", async () => {
    await callOne(on, "configure_agent", { agent_id: "a", daily_budget_usd: 3.5 });
    await submitMany(9, request);
    const first = await claim(on);
    expect(first).toHaveLength(3);
    expect(await holds()).toEqual([{ hold: "agent_budget", count: 6 }]);
    const [id] = await database.query("select id from llmq.queue where hold is not null limit 1");
    const explained = await callOne<{ why: string }>(on, "explain_llm_request", { request_id: id?.id });
    expect(explained.why).toContain("3.0000 of 3.5 USD today");
    await complete(first, { ...answered, output_tokens: 500 });
    expect(await claim(on)).toHaveLength(2);
    const [cost] = await database.query("select sum(cost_usd)::float as usd from llmq.results");
    expect(cost?.usd).toBe(1.5);
    await passTime(database, 86_400);
    await callOne(on, "release_llm_holds");
    expect(await claim(on)).toHaveLength(3);
  });

  test("counts the calls of a claim that goes on", async () => {
    await callOne(on, "configure_agent", { agent_id: "a", daily_budget_usd: 3.5 });
    await submitMany(1, request);
    const [taken] = await claim(on);
    const spent = async () => Number(await callOne(on, "agent_spent", { agent_id: "a", period: "day" }));
    expect(await spent()).toBe(1);
    const note = (claimId: unknown) =>
      callOne(on, "note_llm_calls", {
        request_id: taken?.id,
        claim_id: claimId,
        calls: [{ outcome: "invalid", input_tokens: 0, output_tokens: 500 }],
      });
    expect(await note(taken?.claim_id)).toBe(true);
    expect(await note(-1)).toBe(false);
    expect(await spent()).toBe(1.5);
    await complete([taken as Taken], answered);
    expect(await spent()).toBe(1.5);
    const [row] = await database.query("select calls, cost_usd::float as usd from llmq.results");
    expect(row).toEqual({ calls: 2, usd: 1.5 });
  });

  test("claims at the same moment cannot overspend it together", async () => {
    await callOne(on, "configure_agent", { agent_id: "a", daily_budget_usd: 2 });
    await submitMany(3, { ...request, model: "m" });
    await submitMany(3, { ...request, model: "n" });
    await on.query("begin");
    expect(await claim(on, { models: ["m"] })).toHaveLength(2);
    expect(await claim(other, { models: ["n"] })).toHaveLength(0);
    await on.query("commit");
    expect(await claim(other, { models: ["n"] })).toHaveLength(0);
  });

  test("of a month holds beside that of a day", async () => {
    await callOne(on, "configure_agent", { agent_id: "a", daily_budget_usd: 5, monthly_budget_usd: 2 });
    await submitMany(4, request);
    expect(await claim(on)).toHaveLength(2);
  });

  test("that is spent fails the request, if the agent is set to", async () => {
    await callOne(on, "configure_agent", { agent_id: "a", daily_budget_usd: 1, over_budget: "fail" });
    await submitMany(3, request);
    expect(await claim(on)).toHaveLength(1);
    const rows = await database.query("select status, error_type, calls from llmq.results");
    expect(rows).toEqual([
      { status: "failed", error_type: "budget_exceeded", calls: 0 },
      { status: "failed", error_type: "budget_exceeded", calls: 0 },
    ]);
  });

  test("gets back what a call that was refused had reserved", async () => {
    await callOne(on, "configure_agent", { agent_id: "a", daily_budget_usd: 1 });
    await submitMany(2, request);
    const [taken] = await claim(on);
    const failure = {
      error_class: "bad_request",
      error_message: "no",
      calls: [{ outcome: "bad_request", status_code: 400 }],
    };
    await call(on, "fail_llm_requests", {
      failures: [{ request_id: taken?.id, claim_id: taken?.claim_id, ...failure }],
    });
    expect(await claim(on)).toHaveLength(1);
  });

  test("is not touched by models without a price, and its sums survive being put together", async () => {
    await database.query("delete from llmq.prices where model = 'n'");
    await callOne(on, "configure_agent", { agent_id: "a", daily_budget_usd: 300 });
    await submitMany(2, { ...request, model: "n" });
    await complete(await claim(on), answered);
    expect(Number(await callOne(on, "agent_spent", { agent_id: "a", period: "day" }))).toBe(0);
    await submitMany(210, request);
    for (let n = 0; n < 210; n += 1) await complete(await claim(on, { max_requests: 1 }), answered);
    await passTime(database, 5);
    expect(await callOne<number>(on, "compact_usage")).toBeGreaterThan(0);
    expect(Number(await callOne(on, "agent_spent", { agent_id: "a", period: "day" }))).toBe(210);
    const [rows] = await database.query("select count(*)::int from llmq.agent_usage");
    expect(rows?.count).toBeLessThan(10);
    // What comes for a call that began before the sum counts from the next time on.
    await database.query(
      "insert into llmq.agent_usage (agent_id, at, usd) select 'a', min(at) - interval '1 second', -10 from llmq.agent_usage where compact",
    );
    await callOne(on, "compact_usage");
    expect(Number(await callOne(on, "agent_spent", { agent_id: "a", period: "day" }))).toBe(200);
    expect(Number(await callOne(on, "agent_spent", { agent_id: "a", period: "month" }))).toBe(200);
  });
});

describe("a shared call", () => {
  const share = { settings: { share: true, temperature: 0 } };
  const results = () =>
    database.query(
      "select f.id, f.status, f.response, a.outcome, a.input_tokens from llmq.results as f join llmq.attempts as a on a.request_id = f.id order by f.id",
    );

  test("identical requests in flight get one answer, and the ledger says whose it was", async () => {
    const ids = await submitMany(3, share);
    const different = await submit(on, { settings: { share: true, temperature: 1 } });
    const first = await claim(on);
    expect(first.map((request) => request.id).sort()).toEqual([ids[0], different].sort());
    const later = await submit(on, share);
    expect(await claim(on)).toEqual([]);
    await complete(first.filter((request) => request.id === ids[0]));
    const rows = await results();
    expect(rows.map((row) => row.id)).toEqual([...ids, later]);
    expect(rows.map((row) => row.outcome)).toEqual(["answered", "shared", "shared", "shared"]);
    expect(rows.every((row) => row.response === "done" && row.status === "completed")).toBe(true);
    expect(rows.map((row) => row.input_tokens)).toEqual([10, null, null, null]);
  });

  test("when the one in flight fails, the next asks for itself", async () => {
    const [first, second] = await submitMany(2, share);
    const [taken] = await claim(on);
    await call(on, "fail_llm_requests", {
      failures: [
        {
          request_id: first,
          claim_id: taken?.claim_id,
          error_class: "bad_request",
          error_message: "no",
          calls: [],
        },
      ],
    });
    expect((await claim(on)).map((request) => request.id)).toEqual([second]);
  });

  test("when the one in flight is cancelled, the next asks for itself", async () => {
    const [first, second] = await submitMany(2, share);
    await claim(on);
    await callOne(on, "cancel_llm_request", { request_id: first });
    expect((await claim(on)).map((request) => request.id)).toEqual([second]);
  });

  test("one that is retried shares again, and nothing is kept of those that ended", async () => {
    const [first, second] = await submitMany(2, share);
    const taken = await claim(on);
    await callOne(on, "cancel_llm_request", { request_id: second });
    await callOne(on, "retry_llm_request", { request_id: second });
    expect(await claim(on)).toEqual([]);
    expect(await database.query("select request_id, leader_id from llmq.twins order by request_id")).toEqual([
      { request_id: first, leader_id: null },
      { request_id: second, leader_id: first },
    ]);
    await complete(taken);
    expect((await results()).map((row) => row.outcome)).toEqual(["answered", "shared"]);
    expect(await database.query("select from llmq.twins")).toEqual([]);
  });

  test("who does not allow it asks for itself", async () => {
    await submitMany(1, share);
    await submitMany(2, { settings: { temperature: 0 } });
    await submitMany(1, { settings: { temperature: 0, cache_seconds: 60 } });
    expect(await claim(on)).toHaveLength(4);
  });

  test("two claims at the same moment start one of two twins", async () => {
    await submitMany(1, { ...share, agent_id: "a" });
    await on.query("begin");
    expect(await claim(on)).toHaveLength(1);
    await submit(other, { ...share, agent_id: "b" });
    expect(await claim(other)).toHaveLength(0);
    await on.query("commit");
    expect(await claim(other)).toHaveLength(0);
    expect(await holds()).toEqual([{ hold: "shared", count: 1 }]);
  });

  test("from the cache: for so many seconds, to those who accept it, and not older by being used", async () => {
    const cached = { settings: { cache_seconds: 60 } };
    await submitMany(1, cached);
    await complete(await claim(on));
    await submitMany(1, { settings: {} });
    expect(await claim(on)).toHaveLength(1);
    await submitMany(2, cached);
    expect(await claim(on)).toEqual([]);
    expect((await results()).map((row) => row.outcome)).toEqual(["answered", "cached", "cached"]);
    await passTime(database, 30);
    await submitMany(1, { settings: { cache_seconds: 10 } });
    expect(await claim(on)).toHaveLength(1);
    await passTime(database, 31);
    await submitMany(1, cached);
    expect(await claim(on)).toHaveLength(1);
  });

  test("another model's answer is not in the cache", async () => {
    await submitMany(1, { settings: { cache_seconds: 60 }, model: "m" });
    await complete(await claim(on));
    await submitMany(1, { settings: { cache_seconds: 60 }, model: "n" });
    expect(await claim(on)).toHaveLength(1);
  });
});

describe("waiting too long", () => {
  test("for a route's fallback_after sends a request to the next model, which the ledger tells", async () => {
    await callOne(on, "configure_route", { complexity: "*", fallback_after: "30 seconds" });
    await callOne(on, "configure_model", { name: "m", paused: true });
    const routed = await submit(on);
    await submit(on, { model: "m" });
    await callOne(on, "sweep_llm_requests");
    expect(await callOne(on, "fall_back_llm_requests")).toBe(0);
    await passTime(database, 31);
    expect(await callOne(on, "fall_back_llm_requests")).toBe(1);
    const taken = await claim(on);
    expect(taken).toMatchObject([{ id: routed, model: "n" }]);
    await complete(taken);
    const [row] = await database.query(
      "select model, (select jsonb_agg(jsonb_build_array(a.number, a.model, a.outcome) order by a.number) from llmq.attempts as a where a.request_id = f.id) as calls from llmq.results as f",
    );
    expect(row).toEqual({
      model: "n",
      calls: [
        [1, "m", "passed_over"],
        [2, "n", "answered"],
      ],
    });
    const [told] = await database.query("select fallbacks from llmq.llm_requests where id = $1", [routed]);
    expect(told?.fallbacks).toEqual([
      { model: "m", outcome: "passed_over", error_message: expect.stringContaining("fallback_after") },
    ]);
  });

  test("beyond its deadline, while the model cools down, too", async () => {
    const soon = await submit(on, { deadline: new Date(Date.now() + 60_000) });
    await submit(on, { deadline: new Date(Date.now() + 600_000) });
    await database.query(
      "insert into llmq.model_state (lane, cooling_until) select lane, now() + interval '2 minutes' from llmq.models where name = 'm'",
    );
    expect(await callOne(on, "fall_back_llm_requests")).toBe(1);
    await callOne(on, "sweep_llm_requests");
    expect(await claim(on)).toMatchObject([{ id: soon, model: "n" }]);
  });
});

describe("ageing", () => {
  test("what others of higher priority keep waiting climbs, and what nobody keeps waiting does not", async () => {
    await submit(on, { priority: 5, agent_id: "high" });
    const low = await submit(on, { priority: -3, agent_id: "low" });
    await callOne(on, "sweep_llm_requests");
    await callOne(on, "age_llm_requests");
    await passTime(database, 301);
    expect(await callOne(on, "age_llm_requests")).toBe(1);
    await callOne(on, "sweep_llm_requests");
    const [row] = await database.query("select priority from llmq.queue where id = $1", [low]);
    expect(row?.priority).toBe(-2);
    await claim(on, { max_requests: 1 });
    await passTime(database, 301);
    expect(await callOne(on, "age_llm_requests")).toBe(0);
  });

  test("is off with the setting at 0", async () => {
    await database.query("update llmq.settings set value = '\"0\"' where name = 'ageing'");
    await submit(on, { priority: 5 });
    await submit(on, { priority: 0 });
    await passTime(database, 4_000);
    await callOne(on, "sweep_llm_requests");
    await passTime(database, 4_000);
    expect(await callOne(on, "age_llm_requests")).toBe(0);
    await database.query("update llmq.settings set value = '\"5 minutes\"' where name = 'ageing'");
  });
});
