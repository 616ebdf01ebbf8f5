import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { LlmRequest } from "../../src/index.ts";
import type { TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { clientFactory, complete, createClientDatabase, fail, hello } from "./support.ts";

let database: TestDatabase;
const clients = clientFactory(() => database);

beforeAll(async () => {
  database = await createClientDatabase();
});
afterEach(() => clients.closeAll());
afterAll(() => database.drop());

/** Clear of the time by which the two clocks may be misjudged: as long as reading the database's takes. */
const makeOlder = () =>
  database.query("update llmq.results set finished_at = finished_at - interval '1 minute'");

describe.each([
  ["with notifications", {}],
  ["by polling alone", { listen: false }],
])("onResult %s", (_, options) => {
  test("every result of the agent arrives once, until unsubscribed", async () => {
    const client = clients.create(options);
    const agentId = `ada ${JSON.stringify(options)}`;
    const earlier = await client.submit({ ...hello(), agentId });
    await complete(database, earlier, "earlier");
    await makeOlder();
    const seen: LlmRequest[] = [];
    const late: LlmRequest[] = [];
    const unsubscribe = client.onResult(agentId, (request) => void seen.push(request));
    const ids = await client.submitMany([1, 2, 3].map(() => ({ ...hello(), agentId })));
    const other = await client.submit({ ...hello(), agentId: "somebody else" });
    await complete(database, ids[0] as string, "one");
    await fail(database, ids[1] as string, "two");
    await client.cancel(ids[2] as string);
    await complete(database, other);
    await eventually(() => seen.length >= 3);
    expect(new Set(seen.map((request) => request.id))).toEqual(new Set(ids));

    unsubscribe();
    unsubscribe();
    await makeOlder();
    client.onResult(agentId, (request) => void late.push(request));
    const last = await client.submit({ ...hello(), agentId });
    await complete(database, last);
    await eventually(() => late.length > 0);
    expect(late.map((request) => request.id)).toEqual([last]);
    expect(seen.map((request) => request.status).toSorted()).toEqual(["cancelled", "completed", "failed"]);
  });

  test("a handler that throws or rejects stops nobody, and a retried request is told again", async () => {
    const client = clients.create(options);
    const agentId = `grace ${JSON.stringify(options)}`;
    const seen: string[] = [];
    client.onResult(agentId, () => {
      throw new Error("thrown");
    });
    client.onResult(agentId, () => Promise.reject(new Error("rejected")));
    client.onResult(agentId, (request) => void seen.push(request.status));
    const id = await client.submit({ ...hello(), agentId });
    await fail(database, id, "no");
    await eventually(() => seen.length === 1);
    await client.retry(id);
    await complete(database, id);
    await eventually(() => seen.length === 2);
    expect(seen).toEqual(["failed", "completed"]);
  });
});

describe("the other calls", () => {
  test("tool results become the next turn's request", async () => {
    const client = clients.create();
    const id = await client.submit({
      ...hello("What time is it?"),
      tools: [{ type: "function", function: { name: "now" } }],
    });
    await complete(database, id, "", {
      tool_calls: [{ id: "call_1", tool_name: "now", params: {} }],
      final_response: null,
    });
    const next = await client.submitToolResults(id, [{ id: "call_1", result: { time: "12:00" } }]);
    const turn = await client.get(next);
    expect(turn).toMatchObject({ parentId: id, status: "pending" });
    expect(turn.messages.at(-1)).toEqual({
      role: "tool",
      tool_call_id: "call_1",
      content: '{"time": "12:00"}',
    });
    await expect(client.submitToolResults(id, [{ id: "call_1", result: 1 }])).rejects.toMatchObject({
      code: "LQ009",
    });
  });

  test("explain says why a request does not run, with names in camelCase", async () => {
    const client = clients.create();
    const id = await client.submit({ ...hello(), runAt: new Date("2099-01-01T00:00:00Z") });
    expect(await client.explain(id)).toMatchObject({
      requestId: id,
      status: "pending",
      why: expect.stringContaining("not due before"),
      model: "small",
      route: ["small"],
      maxAttempts: 8,
    });
    await fail(database, id, "broken");
    const explained = await client.explain(id);
    expect(explained.errorType).toBe("exception");
    expect(explained.calls?.[0]).toMatchObject({ number: 1, outcome: "exception", errorMessage: "broken" });
  });

  test("cancel says whether there was something to cancel", async () => {
    const client = clients.create();
    const id = await client.submit(hello());
    expect(await client.cancel(id.toUpperCase())).toBe(true);
    expect(await client.cancel(id)).toBe(false);
    expect(await client.get(id)).toMatchObject({ status: "cancelled" });
    await expect(client.cancel("01890000-0000-7000-8000-000000000000")).rejects.toMatchObject({
      code: "LQ002",
    });
  });
});
