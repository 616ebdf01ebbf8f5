import { randomUUID } from "node:crypto";
import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { call, callOne, claim, passTime, submit } from "./support.ts";

let database: TestDatabase;
let on: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  on = await database.connect();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.query(`
    truncate llmq.queue, llmq.in_flight, llmq.requests, llmq.results, llmq.attempts, llmq.usage, llmq.agent_usage, llmq.model_state;
    delete from llmq.lane_marks; delete from llmq.routes; delete from llmq.prices; delete from llmq.models;
    delete from llmq.providers; delete from llmq.agents; delete from llmq.workers;
    select llmq.configure_provider('sim', 'sim');
    select llmq.configure_model('fast', 'sim');
    select llmq.configure_model('slow', 'sim');
    select llmq.configure_route('*', array['fast']);
  `);
});

const rows = (view: string) => database.query(`select * from llmq.${view}`);
const one = async (view: string) => (await rows(view))[0];

type Answer = { parsed?: unknown; call?: object; agent?: string; model?: string };

/** Submits, claims and completes one request; answers its id. */
async function answer({ parsed, call: facts, agent = "a", model }: Answer = {}): Promise<string> {
  const id = await submit(on, { agent_id: agent, model });
  const claimId = await callOne(on, "mark_processing", { request_id: id });
  await callOne(on, "mark_completed", {
    request_id: id,
    response: JSON.stringify(parsed ?? "x"),
    parsed_response: parsed === undefined ? undefined : JSON.stringify(parsed),
    claim_id: claimId,
    calls: JSON.stringify([{ outcome: "answered", ...facts }]),
  });
  return id;
}

/** Submits, claims and fails one request for good. */
async function fail(over: Record<string, unknown> = {}, agent = "a"): Promise<string> {
  const id = await submit(on, { agent_id: agent, max_attempts: 1 });
  await callOne(on, "mark_processing", { request_id: id });
  await callOne(on, "mark_failed", {
    request_id: id,
    error_type: "malformed_response",
    error_message: "bad",
    retry: false,
    ...over,
  });
  return id;
}

const finishedAgo = (id: string, ago: string) =>
  database.query("update llmq.results set finished_at = now() - $2::interval where id = $1", [id, ago]);

describe("the queue", () => {
  test("depth is told by status, model, priority and what holds, and what is due apart from what is for later", async () => {
    await database.query("select llmq.configure_agent('paused', paused => true)");
    for (const over of [{}, {}, { priority: 5 }, { agent_id: "paused" }]) await submit(on, over);
    await submit(on, { model: "slow", run_at: new Date(Date.now() + 3_600_000).toISOString() });
    await claim(on, { max_requests: 1 });
    await claim(on, { max_requests: 10 });
    await submit(on);
    const depth = await database.query(
      "select status, model, priority, held, requests::int, due::int, oldest_due_age is null as later from llmq.queue_depth order by 1, 2, 3, 4",
    );
    expect(depth).toEqual([
      {
        status: "pending",
        model: "fast",
        priority: 0,
        held: "agent_paused",
        requests: 1,
        due: 1,
        later: false,
      },
      { status: "pending", model: "fast", priority: 0, held: null, requests: 1, due: 1, later: false },
      { status: "pending", model: "slow", priority: 0, held: null, requests: 1, due: 0, later: true },
      { status: "processing", model: "fast", priority: 0, held: null, requests: 2, due: 2, later: false },
      { status: "processing", model: "fast", priority: 5, held: null, requests: 1, due: 1, later: false },
    ]);
    const [agent, paused] = await database.query(
      "select agent_id, pending::int, held::int, processing::int from llmq.queue_by_agent order by agent_id",
    );
    expect(agent).toEqual({ agent_id: "agent", pending: 2, held: 0, processing: 3 });
    expect(paused).toEqual({ agent_id: "paused", pending: 1, held: 1, processing: 0 });
  });

  test("nothing is stuck that waits or runs for a normal time", async () => {
    await submit(on);
    await claim(on);
    await submit(on);
    expect(await rows("stuck_requests")).toEqual([]);
  });

  test("a request that could have run ten minutes ago is stuck, with the reason", async () => {
    await database.query(
      "select llmq.register_worker('w', '1 hour'), llmq.configure_model('fast', paused => true)",
    );
    await submit(on);
    await submit(on, { run_at: new Date(Date.now() + 7_200_000).toISOString() });
    await passTime(database, 601);
    expect(await rows("stuck_requests")).toEqual([
      expect.objectContaining({ status: "pending", model: "fast", why: "The model fast is paused." }),
    ]);
  });

  test("so is one whose worker is gone, and one that runs longer than its calls may take", async () => {
    const worker = await callOne<string>(on, "register_worker", { name: "w1", lost_after: "1 hour" });
    await submit(on);
    await submit(on, { settings: { timeout: 3600 } });
    await claim(on, { worker_id: worker });
    await passTime(database, 1801);
    const running = await rows("stuck_requests");
    expect(running).toEqual([
      expect.objectContaining({ why: expect.stringContaining("longer than its calls may take") }),
    ]);
    await database.query("update llmq.workers set heartbeat_at = now() - interval '3 hours'");
    const lost = await rows("stuck_requests");
    expect(lost.map((row) => row.why)).toEqual([
      expect.stringContaining("w1 has not been heard of"),
      expect.stringContaining("w1 has not been heard of"),
    ]);
    await database.query("delete from llmq.workers");
    expect(await one("stuck_requests")).toMatchObject({ why: expect.stringContaining("is gone") });
  });
});

describe("what finished", () => {
  test("success is told for the last hour, day and week; cancelled ones do not count against it", async () => {
    await answer();
    await finishedAgo(await answer(), "2 hours");
    await finishedAgo(await fail(), "2 hours");
    await finishedAgo(await fail(), "2 days");
    await finishedAgo(await answer(), "8 days");
    await callOne(on, "cancel_llm_request", { request_id: await submit(on, { agent_id: "a" }) });
    const told = await database.query(
      `select period::text, total::int, completed::int, failed::int, cancelled::int, rate::float8
       from llmq.agent_success_rate where agent_id = 'a' order by agent_success_rate.period`,
    );
    expect(told).toEqual([
      { period: "01:00:00", total: 2, completed: 1, failed: 0, cancelled: 1, rate: 1 },
      { period: "1 day", total: 4, completed: 2, failed: 1, cancelled: 1, rate: 0.6667 },
      { period: "7 days", total: 5, completed: 2, failed: 2, cancelled: 1, rate: 0.5 },
    ]);
    const day = "select total::int from llmq.agent_success_rate where period = '1 day'";
    expect(await database.query(day)).toEqual([{ total: 4 }]);
  });

  test("completions of the last hour, per agent and model, with tokens and cost", async () => {
    const call = { input_tokens: 10, output_tokens: 5, cost_usd: 0.25 };
    await answer({ call });
    await answer({ call });
    await answer({ call, model: "slow" });
    await finishedAgo(await answer({ call }), "61 minutes");
    await fail();
    const told = await database.query(
      "select model, completed::int, input_tokens::int, output_tokens::int, cost_usd::float8 from llmq.completed_last_hour order by model",
    );
    expect(told).toEqual([
      { model: "fast", completed: 2, input_tokens: 20, output_tokens: 10, cost_usd: 0.5 },
      { model: "slow", completed: 1, input_tokens: 10, output_tokens: 5, cost_usd: 0.25 },
    ]);
  });

  test("failures and what was wrong with answers are those of the last day", async () => {
    const errors = [
      { type: "schema_violation", field: "a.b", message: "must be object" },
      { type: "json_decode_error", error: "unexpected end", position: 7, response_preview: "{" },
    ];
    const failed = await fail({ validation_errors: JSON.stringify(errors) });
    await finishedAgo(await fail({ validation_errors: JSON.stringify(errors) }), "25 hours");
    expect(await rows("recent_failures")).toEqual([
      expect.objectContaining({ id: failed, error_message: "bad" }),
    ]);
    expect(await rows("validation_failures order by type desc")).toEqual([
      expect.objectContaining({
        id: failed,
        type: "schema_violation",
        field: "a.b",
        message: "must be object",
        position: null,
      }),
      expect.objectContaining({
        type: "json_decode_error",
        field: null,
        message: "unexpected end",
        position: 7,
      }),
    ]);
  });

  test("tool calls are one row each, whatever else an answer may call so", async () => {
    const tool_calls = [
      { id: "c1", tool_name: "look", params: { q: 1 } },
      { id: "c2", tool_name: "look", params: {} },
      { id: "c3", tool_name: "write", params: { to: "x" } },
    ];
    const id = await answer({ parsed: { tool_calls, final_response: null } });
    for (const odd of [
      { tool_calls: "none" },
      { tool_calls: [1, "tool_name", {}] },
      ["tool_calls"],
      "tool_calls",
    ]) {
      await answer({ parsed: odd });
    }
    expect(
      await database.query(
        "select request_id, number, tool_call_id, tool_name, params from llmq.tool_calls order by number",
      ),
    ).toEqual([
      { request_id: id, number: 1, tool_call_id: "c1", tool_name: "look", params: { q: 1 } },
      { request_id: id, number: 2, tool_call_id: "c2", tool_name: "look", params: {} },
      { request_id: id, number: 3, tool_call_id: "c3", tool_name: "write", params: { to: "x" } },
    ]);
    expect(
      await database.query(
        "select tool_name, calls::int, requests::int from llmq.tool_call_counts order by 1",
      ),
    ).toEqual([
      { tool_name: "look", calls: 2, requests: 1 },
      { tool_name: "write", calls: 1, requests: 1 },
    ]);
  });

  test("tokens and cost per agent, model and day, failed requests included", async () => {
    const call = {
      input_tokens: 100,
      output_tokens: 20,
      cached_input_tokens: 40,
      reasoning_tokens: 5,
      cost_usd: 0.5,
    };
    await answer({ call });
    await answer();
    await fail({ calls: JSON.stringify([{ outcome: "invalid", ...call }]) });
    await finishedAgo(await answer({ call }), "50 hours");
    await finishedAgo(await answer({ call }), "32 days");
    const today = "(now() at time zone 'UTC')::date";
    expect(
      await database.query(
        `select model, day = ${today} as today, requests::int, input_tokens::int, output_tokens::int, cached_input_tokens::int, reasoning_tokens::int
         from llmq.token_usage where agent_id = 'a' order by day desc`,
      ),
    ).toEqual([
      {
        model: "fast",
        today: true,
        requests: 3,
        input_tokens: 200,
        output_tokens: 40,
        cached_input_tokens: 80,
        reasoning_tokens: 10,
      },
      {
        model: "fast",
        today: false,
        requests: 1,
        input_tokens: 100,
        output_tokens: 20,
        cached_input_tokens: 40,
        reasoning_tokens: 5,
      },
    ]);
    expect(
      await database.query(
        "select requests::int, without_cost::int, cost_usd::float8 from llmq.cost_by_day order by day desc",
      ),
    ).toEqual([
      { requests: 3, without_cost: 1, cost_usd: 1 },
      { requests: 1, without_cost: 0, cost_usd: 0.5 },
    ]);
  });

  test("latency is the median and more, in seconds, of waiting, first byte, call and all of it", async () => {
    for (const [queue, call] of [
      [1, 2000],
      [2, 4000],
      [3, 6000],
    ] as const) {
      const id = await answer({ call: { latency_ms: call, first_byte_ms: call / 10 } });
      await database.query(
        `update llmq.results set created_at = finished_at - interval '10 s', run_at = finished_at - interval '9 s',
           started_at = finished_at - interval '9 s' + $2 * interval '1 s' where id = $1`,
        [id, queue],
      );
    }
    const found = await database.query(
      "select model, requests::int, queue_p50::float8, queue_p99::float8, first_byte_p50::float8, call_p50::float8, call_p95::float8, total_p50::float8 from llmq.latency_by_model",
    );
    expect(found).toEqual([
      {
        model: "fast",
        requests: 3,
        queue_p50: 2,
        queue_p99: 2.98,
        first_byte_p50: 0.4,
        call_p50: 4,
        call_p95: 5.8,
        total_p50: 10,
      },
    ]);
  });

  test("the last three hours come minute by minute, also those in which nothing happened", async () => {
    const call = { input_tokens: 10, output_tokens: 5, cost_usd: 0.25 };
    await finishedAgo(await answer({ call }), "10 minutes");
    await fail();
    await submit(on);
    await claim(on);
    await submit(on);
    const series = await database.query("select * from llmq.requests_by_minute order by time");
    expect(series).toHaveLength(180);
    const [sums] = await database.query(
      `select sum(submitted)::int as submitted, sum(started)::int as started, sum(finished)::int as finished,
         sum(completed)::int as completed, sum(failed)::int as failed, sum(input_tokens)::int as input,
         sum(output_tokens)::int as output, sum(cost_usd)::float8 as cost, count(*) filter (where finished > 0)::int as minutes
       from llmq.requests_by_minute`,
    );
    expect(sums).toEqual({
      submitted: 4,
      started: 3,
      finished: 2,
      completed: 1,
      failed: 1,
      input: 10,
      output: 5,
      cost: 0.25,
      minutes: 2,
    });
  });
});

describe("models and limits", () => {
  test("the breaker of a model is closed, open, half open", async () => {
    const breaker = async () => (await rows("provider_health where model = 'fast'"))[0];
    expect(await breaker()).toMatchObject({
      breaker: "closed",
      reason: null,
      admit: null,
      failures: 0,
      paused: false,
      limits: null,
    });
    for (let n = 0; n < 5; n += 1) await submit(on);
    const failures = (await claim(on)).map(({ id, claim_id }) => ({
      request_id: id,
      claim_id,
      error_class: "transient",
      error_message: "connection reset",
      calls: [{ outcome: "transient", error_message: "connection reset" }],
    }));
    await call(on, "fail_llm_requests", { failures });
    expect(await breaker()).toMatchObject({
      breaker: "open",
      reason: "connection reset",
      error_class: "transient",
      cooling_until: expect.any(Date),
    });
    expect(await one("provider_outages")).toMatchObject({
      model: "fast",
      outcome: "transient",
      calls: "5",
      last_error: "connection reset",
    });
    await passTime(database, 600);
    expect(await breaker()).toMatchObject({ breaker: "half_open", admit: 1, reason: "connection reset" });
    await database.query("select llmq.configure_provider('sim', paused => true)");
    expect(await breaker()).toMatchObject({ paused: false, provider_paused: true });
  });

  test("of every limit of a model and its provider it is told how much is used", async () => {
    await database.query(`
      select llmq.configure_provider('sim', requests_per_minute => 100);
      select llmq.configure_model('fast', requests_per_minute => 50, tokens_per_minute => 100000, max_concurrency => 4)`);
    for (let n = 0; n < 3; n += 1) await submit(on);
    await claim(on);
    const use = await database.query(
      "select kind, name, limit_name, value::int, used::int, ratio::float8 from llmq.limit_use where limit_name <> 'tokens_per_minute' order by 1, 3",
    );
    expect(use).toEqual([
      { kind: "model", name: "fast", limit_name: "max_concurrency", value: 4, used: 3, ratio: 0.75 },
      { kind: "model", name: "fast", limit_name: "requests_per_minute", value: 50, used: 3, ratio: 0.06 },
      { kind: "provider", name: "sim", limit_name: "requests_per_minute", value: 100, used: 3, ratio: 0.03 },
    ]);
    const [health] = await rows("provider_health where model = 'fast'");
    expect(health?.limits).toHaveLength(4);
    expect(health?.limits).toContainEqual({
      kind: "provider",
      limit: "requests_per_minute",
      value: 100,
      used: 3,
    });
    expect((await rows("provider_health where model = 'slow'"))[0]?.limits).toHaveLength(1);
  });

  test("a budget is told per period, with what is reserved", async () => {
    await database.query("select llmq.configure_agent('a', daily_budget_usd => 2, monthly_budget_usd => 10)");
    await database.query(
      "insert into llmq.agent_usage (agent_id, at, usd) values ('a', clock_timestamp(), 0.5)",
    );
    expect(
      await database.query(
        "select period, budget_usd::float8, spent_usd::float8, ratio::float8, over_budget from llmq.budget_use order by period",
      ),
    ).toEqual([
      { period: "day", budget_usd: 2, spent_usd: 0.5, ratio: 0.25, over_budget: "wait" },
      { period: "month", budget_usd: 10, spent_usd: 0.5, ratio: 0.05, over_budget: "wait" },
    ]);
  });
});

describe("the machinery", () => {
  test("workers are alive or not, and hold what they have in processing", async () => {
    const info = { listener: "listening", version: "1.2.3" };
    const worker = await callOne<string>(on, "register_worker", { name: "w1", info: JSON.stringify(info) });
    await database.query(
      "insert into llmq.workers (name, heartbeat_at) values ('w2', now() - interval '1 hour')",
    );
    await submit(on);
    await claim(on, { worker_id: worker });
    expect(await rows("worker_health order by name")).toEqual([
      expect.objectContaining({ name: "w1", alive: true, holds: "1", ...info }),
      expect.objectContaining({ name: "w2", alive: false, holds: "0", listener: null }),
    ]);
    expect(await one("storage_health")).toMatchObject({ listeners: { listening: 1 } });
  });

  test("the oldest snapshot is found with who holds it", async () => {
    const holder = await database.connect({ application_name: "a forgotten session" });
    await holder.query("begin isolation level repeatable read; select 1");
    const { rows: pids } = await holder.query("select pg_backend_pid() as pid");
    for (let n = 0; n < 3; n += 1) await submit(on);
    const health = await one("storage_health");
    expect(health).toMatchObject({
      snapshot_holder: "session",
      snapshot_pid: pids[0].pid,
      snapshot_application: "a forgotten session",
      snapshot_since: expect.any(Date),
    });
    expect(health?.snapshot_age).toBeGreaterThanOrEqual(3);
    await holder.end();
  });

  test("a prepared transaction is found too, where there can be any", async (context) => {
    const [setting] = await database.query("show max_prepared_transactions");
    if (setting?.max_prepared_transactions === "0") return context.skip("max_prepared_transactions is 0");
    const name = randomUUID();
    await on.query(`begin; select txid_current(); prepare transaction '${name}'`);
    expect(await one("storage_health")).toMatchObject({
      snapshot_holder: "prepared transaction",
      snapshot_application: name,
    });
    await on.query(`rollback prepared '${name}'`);
  });

  test("partitions ahead and behind are counted, and rows without a week", async () => {
    expect(await one("storage_health")).toMatchObject({
      partitions_ahead: 4,
      partitions_behind: 0,
      default_partition_rows: "0",
    });
    await database.query(
      `insert into llmq.results (id, agent_id, task_type, complexity, priority, status, max_attempts, created_at)
       values (llmq.uuid_v7_floor(now() - interval '300 days'), 'a', 't', 'simple', 0, 'completed', 8, now() - interval '300 days')`,
    );
    expect(await one("storage_health")).toMatchObject({ default_partition_rows: "1" });
    const [results] = await rows("table_health where table_name = 'results'");
    expect(results?.parts).toBe("6");
    expect(Number(results?.total_bytes)).toBeGreaterThan(0);
  });

  test("all that /metrics shows comes in one statement, with nothing configured as well", async () => {
    const empty = await callOne<Record<string, unknown>>(on, "read_metrics");
    expect(empty).toMatchObject({ depth: [], limits: [], budgets: [], workers: [], last_hour: [] });
    await database.query(
      "select llmq.configure_agent('a', daily_budget_usd => 0), llmq.configure_agent('b', daily_budget_usd => 3)",
    );
    await answer({ call: { cost_usd: 0.5 }, agent: "b" });
    await submit(on);
    expect(await callOne(on, "read_metrics")).toMatchObject({
      depth: [{ status: "pending", model: "fast", held: "", requests: 1 }],
      budgets: [
        { agent_id: "a", period: "day" },
        { agent_id: "b", period: "day" },
      ],
      last_hour: [{ model: "fast", status: "completed", requests: 1, cost_usd: 0.5 }],
      storage: { partitions_ahead: 4 },
    });
  });
});
