import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import {
  call,
  callOne,
  claim,
  codeOf,
  configureModels,
  hello,
  inTransaction,
  type Queryable,
  queryable,
  read,
  submit,
  unknownId,
} from "./support.ts";

let database: TestDatabase;
let on: Queryable;

beforeAll(async () => {
  database = await createTestDatabase();
  await configureModels(database);
  on = queryable(database);
});
afterAll(() => database.drop());
afterEach(async () => {
  await database.query(`
    update llmq.models set paused = false;
    update llmq.providers set paused = false;
    delete from llmq.model_state;
    select llmq.cancel_llm_request(id) from llmq.llm_requests where status in ('pending', 'processing');
  `);
});

async function submitMany(count: number, over: Record<string, unknown> = {}): Promise<string[]> {
  const item = { agent_id: "agent", task_type: "task", messages: hello, ...over };
  const rows = await call<{ submit_llm_requests: string }>(on, "submit_llm_requests", {
    requests: Array.from({ length: count }, () => item),
  });
  return rows.map((row) => row.submit_llm_requests);
}
const claimIds = async (named: Record<string, unknown> = {}, executor: Queryable = on) =>
  (await claim(executor, named)).map((request) => request.id);

describe("a claim", () => {
  test("brings all that a call needs", async () => {
    await database.query(`
      select llmq.configure_provider('groq', 'openai-compatible', 'https://api.example/v1', 'GROQ_API_KEY', '{"a": 1, "b": 1}');
      select llmq.configure_model('complete', 'groq', 'their-id', context_window => 1000, max_output_tokens => 100, options => '{"b": 2}');
    `);
    const given = {
      model: "complete",
      context: { c: 1 },
      settings: { temperature: 1 },
      response_schema: { type: "object" },
      max_attempts: 4,
    };
    const id = await submit(on, given);
    const [request] = await claim(on);
    expect(request).toMatchObject({
      ...given,
      id,
      messages: hello,
      tools: null,
      agent_id: "agent",
      task_type: "task",
      complexity: "medium",
      attempts: 0,
      provider: "groq",
      provider_kind: "openai-compatible",
      base_url: "https://api.example/v1",
      api_key_env: "GROQ_API_KEY",
      model_id: "their-id",
      options: { a: 1, b: 2 },
      context_window: 1000,
      max_output_tokens: 100,
      deadline: null,
    });
    expect(Number(request?.claim_id)).toBeGreaterThan(0);
    expect(await read(on, id)).toMatchObject({ status: "processing" });
  });

  test("takes what is there, at most what was asked, each once", async () => {
    const ids = await submitMany(25);
    const first = await claimIds({ max_requests: 10 });
    const second = await claimIds({ max_requests: 10 });
    const third = await claimIds({ max_requests: 10 });
    expect([first.length, second.length, third.length]).toEqual([10, 10, 5]);
    expect([...first, ...second, ...third]).toEqual(ids);
    expect(await claimIds()).toEqual([]);
  });

  test("refuses a size out of range and a worker nobody registered", async () => {
    for (const size of [0, -1, 1001, null]) {
      expect(await codeOf(claim(on, { max_requests: size }))).toBe("LQ001");
    }
    expect(await codeOf(claim(on, { worker_id: unknownId }))).toBe("LQ004");
    expect(await codeOf(call(on, "mark_processing", { request_id: unknownId, worker_id: unknownId }))).toBe(
      "LQ004",
    );
  });

  test("serves higher priorities of other models first", async () => {
    const low = await submit(on, { model: "first", priority: 1 });
    const high = await submit(on, { model: "second", priority: 2 });
    expect(await claimIds()).toEqual([high, low]);
  });

  test("takes every priority between -100 and 100", async () => {
    const ids = [await submit(on, { priority: 100 }), await submit(on, { priority: -100 })];
    expect(await claimIds()).toEqual(ids);
  });
});

describe("lanes", () => {
  test("a model that cools down holds up nobody else's requests", async () => {
    const [cooling] = await submitMany(100, { model: "first", priority: 50 });
    await database.query(
      "select llmq.cool_down(lane, 'capacity', '429', '1 hour') from llmq.models where name = 'first'",
    );
    const other = await submit(on, { model: "second" });
    expect(await claimIds()).toEqual([other]);
    await database.query("update llmq.model_state set cooling_until = clock_timestamp()");
    expect((await claimIds())[0]).toBe(cooling);
  });

  test.each([
    [
      "model",
      "select llmq.configure_model('first', paused => true)",
      "select llmq.configure_model('first', paused => false)",
    ],
    [
      "provider",
      "select llmq.configure_provider('sim', paused => true)",
      "select llmq.configure_provider('sim', paused => false)",
    ],
  ])("a paused %s is not asked until it is resumed", async (_what, pause, resume) => {
    const id = await submit(on, { model: "first" });
    await database.query(pause);
    expect(await claimIds()).toEqual([]);
    expect((await callOne<{ why: string }>(on, "explain_llm_request", { request_id: id })).why).toContain(
      "paused",
    );
    await database.query(resume);
    expect(await claimIds()).toEqual([id]);
  });

  test("the filter on models takes only theirs", async () => {
    const first = await submit(on, { model: "first" });
    const second = await submit(on, { model: "second" });
    expect(await claimIds({ models: ["second", "nobody's"] })).toEqual([second]);
    expect(await claimIds({ models: ["first"] })).toEqual([first]);
  });

  test("requests for external workers are never claimed, also when their route says external", async () => {
    await database.query("select llmq.configure_route('*', array['external', 'first'], 'by route')");
    const ids = [
      await submit(on, { context: { executor: "external" } }),
      await submit(on, { task_type: "by route" }),
      await submit(on, { model: "external" }),
    ];
    await call(on, "sweep_llm_requests");
    expect(await claimIds()).toEqual([]);
    expect(await claimIds({ models: ["external"] })).toEqual([]);
    for (const id of ids)
      expect((await callOne<{ why: string }>(on, "explain_llm_request", { request_id: id })).why).toContain(
        "external worker",
      );
  });
});

describe("the low-water mark", () => {
  /** Lets the marks of all lanes move on, as claims a second or more apart do. */
  async function moveMarks(times: number): Promise<void> {
    for (let time = 0; time < times; time++) {
      await database.query(
        "update llmq.lane_marks set served_at = served_at - interval '2 s', rotated_at = rotated_at - interval '2 s'",
      );
      await submit(on);
      await claimIds();
    }
  }
  const mark = async () =>
    (
      await database.query<{ vt: number; scan: number }>(
        "select vt, scan from llmq.lane_marks join llmq.models using (lane) where name = 'first' and priority = 0",
      )
    )[0] as { vt: number; scan: number };

  test("follows the claims, a rotation behind", async () => {
    await submitMany(20);
    await moveMarks(1);
    const before = await mark();
    await moveMarks(1);
    const after = await mark();
    expect(after.vt).toBeGreaterThan(before.vt);
    expect(after.scan).toBe(before.vt);
  });

  test("stays where it was when the claim is rolled back", async () => {
    await moveMarks(2);
    const before = await mark();
    await database.query("update llmq.lane_marks set served_at = served_at - interval '2 s'");
    const ids = await submitMany(10);
    expect(await inTransaction(database, (client) => claimIds({}, client))).toEqual(ids);
    expect(await mark()).toEqual(before);
    expect(await claimIds()).toEqual(ids);
  });

  test("a request whose submitter committed after the mark went by is found by the sweep", async () => {
    const id = await inTransaction(database, async (slow) => {
      const submitted = await submit(slow);
      await moveMarks(4);
      await slow.query("commit");
      return submitted;
    });
    const [row] = await database.query("select tag from llmq.queue where id = $1", [id]);
    expect(row?.tag).not.toBeNull();
    expect(row?.tag).toBeLessThan((await mark()).scan);
    expect(await claimIds()).toEqual([]);
    expect(await callOne(on, "sweep_llm_requests")).toBeGreaterThan(0);
    expect(await claimIds()).toEqual([id]);
  });

  test("a late request that was never ranked is found by the sweep as well", async () => {
    const id = await inTransaction(database, async (slow) => {
      const submitted = await submit(slow, { run_at: new Date(Date.now() + 3_600_000) });
      await slow.query(
        "update llmq.queue set run_at = clock_timestamp() - interval '1 minute' where id = $1",
        [submitted],
      );
      await moveMarks(3);
      await database.query("update llmq.sweep_state set promoted_until = clock_timestamp() - interval '2 s'");
      await slow.query("commit");
      return submitted;
    });
    expect(await claimIds()).toEqual([]);
    await call(on, "sweep_llm_requests");
    expect(await claimIds()).toEqual([id]);
  });

  test("maintain sweeps, once a second whoever calls it", async () => {
    await database.query("update llmq.sweep_state set swept_at = '-infinity'");
    // In one statement: a second may pass on the way from one to the next.
    const [row] = await database.query("select llmq.maintain() as first, llmq.maintain() as second");
    expect(row?.first).toEqual({
      recovered: 0,
      expired: 0,
      fallen_back: 0,
      aged: 0,
      released: 0,
      compacted: 0,
      swept: expect.any(Number),
    });
    expect(row?.second).toBeNull();
  });

  test("maintain goes on while somebody's claim is not committed", async () => {
    await submitMany(3);
    await database.query("update llmq.sweep_state set swept_at = '-infinity', promoted_until = '-infinity'");
    await database.query("update llmq.queue set tag = null");
    await inTransaction(database, async (client) => {
      await claimIds({ max_requests: 1 }, client);
      expect(await callOne(on, "maintain")).not.toBeNull();
    });
    expect(await claimIds()).toHaveLength(3);
  });
});

describe("fairness", () => {
  test("one request of B is in its first claim, behind 5,000 of A", async () => {
    for (let part = 0; part < 5; part++) await submitMany(1000, { agent_id: "A" });
    const id = await submit(on, { agent_id: "B" });
    expect(await claimIds({ max_requests: 50 })).toContain(id);
  });

  test("and behind 5,000 of A that nobody ranked yet", async () => {
    for (let part = 0; part < 5; part++) await submitMany(1000, { agent_id: "A" });
    await database.query("update llmq.queue set tag = null");
    const id = await submit(on, { agent_id: "B" });
    expect(await claimIds({ max_requests: 50 })).toContain(id);
  });

  test("weights share the starts", async () => {
    await database.query("select llmq.configure_agent('light', 1), llmq.configure_agent('heavy', 3)");
    await submitMany(600, { agent_id: "light" });
    await submitMany(600, { agent_id: "heavy" });
    let heavy = 0;
    for (let part = 0; part < 8; part++) {
      const agents = (await claim(on, { max_requests: 50 })).map((request) => request.agent_id);
      heavy += agents.filter((agent) => agent === "heavy").length;
    }
    expect(heavy).toBeGreaterThanOrEqual(295);
    expect(heavy).toBeLessThanOrEqual(305);
  });

  test("an agent that submits over ten connections gains nothing", async () => {
    const pool = database.pool({ max: 11 });
    await Promise.all(
      Array.from({ length: 11 }, async (_, connection) => {
        const agent = connection < 10 ? "flood" : "modest";
        for (let count = 0; count < (connection < 10 ? 30 : 150); count++)
          await submit(pool, { agent_id: agent });
      }),
    );
    const counts = { flood: 0, modest: 0 };
    for (let part = 0; part < 10; part++) {
      for (const request of await claim(on, { max_requests: 20 })) {
        counts[request.agent_id as keyof typeof counts]++;
      }
    }
    expect(counts.modest).toBeGreaterThanOrEqual(80);
    expect(counts.modest).toBeLessThanOrEqual(120);
  });
});
