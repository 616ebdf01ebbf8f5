import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { waitForBlockedBackend } from "../support/eventually.ts";
import {
  call,
  callOne,
  codeOf,
  configureModels,
  errorOf,
  hello,
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

const tools = [{ type: "function", function: { name: "look", parameters: { type: "object" } } }];
const parsed = {
  tool_calls: [
    { id: "c1", tool_name: "look", params: { at: "sky" } },
    { id: "c2", tool_name: "look", params: {} },
  ],
  final_response: null,
};

/** A completed request whose answer calls two tools. */
async function answered(over: Record<string, unknown> = {}, executor: Queryable = on): Promise<string> {
  const id = await submit(executor, { tools, ...over });
  await callOne(executor, "mark_processing", { request_id: id });
  await call(executor, "mark_completed", {
    request_id: id,
    response: JSON.stringify(parsed),
    parsed_response: parsed,
  });
  return id;
}
const results = [
  { id: "c1", result: "blue" },
  { id: "c2", result: { clouds: 3 }, is_error: false },
];

describe("submit_tool_results", () => {
  test("queues the next turn with the whole conversation, and everything else as before", async () => {
    const given = {
      priority: 4,
      complexity: "simple",
      context: { c: 1 },
      settings: { temperature: 1 },
      max_attempts: 3,
    };
    const id = await answered(given);
    const next = await callOne<string>(on, "submit_tool_results", { request_id: id, tool_results: results });
    expect(await read(on, next)).toMatchObject({
      ...given,
      tools,
      status: "pending",
      agent_id: "agent",
      task_type: "task",
      parent_id: id,
      messages: [
        ...hello,
        {
          role: "assistant",
          content: null,
          tool_calls: [
            { id: "c1", type: "function", function: { name: "look", arguments: '{"at": "sky"}' } },
            { id: "c2", type: "function", function: { name: "look", arguments: "{}" } },
          ],
        },
        { role: "tool", tool_call_id: "c1", content: "blue" },
        { role: "tool", tool_call_id: "c2", content: '{"clouds": 3}' },
      ],
    });
    const [row] = await database.query(
      "select results, next_request_id from llmq.tool_results where request_id = $1",
      [id],
    );
    expect(row).toEqual({ results, next_request_id: next });
  });

  test.each([
    ["required", undefined],
    [{ type: "function", function: { name: "look" } }, undefined],
    ["auto", "auto"],
  ])("a tool choice of %j becomes %j", async (choice, kept) => {
    const id = await answered({ settings: { tool_choice: choice } });
    const next = await callOne<string>(on, "submit_tool_results", { request_id: id, tool_results: results });
    expect(((await read(on, next)).settings as Record<string, unknown>).tool_choice).toEqual(kept);
  });

  test("calls made through a response schema go on as plain messages", async () => {
    const id = await answered({ tools: null, response_schema: { type: "object" } });
    const next = await callOne<string>(on, "submit_tool_results", { request_id: id, tool_results: results });
    const messages = (await read(on, next)).messages as { role: string; content: string }[];
    expect(messages.map((message) => message.role)).toEqual(["user", "assistant", "user"]);
    expect(messages[1]?.content).toBe(JSON.stringify(parsed));
    expect(messages[2]?.content).toContain('"clouds": 3');
  });

  test.each([
    ["a final response that is no text goes on as its text", "look", { a: 1 }, '{"a": 1}', "tool"],
    ["a call without a name goes on as plain messages", "", null, expect.stringContaining('"c1"'), "user"],
    ["so does one of a tool that was not offered", "other", null, expect.stringContaining('"c1"'), "user"],
  ])("%s", async (_name, tool_name, final_response, content, role) => {
    const id = await submit(on, { tools, response_schema: { type: "object" } });
    await callOne(on, "mark_processing", { request_id: id });
    const parsed_response = { tool_calls: [{ id: "c1", tool_name, params: {} }], final_response };
    const response = JSON.stringify(parsed_response);
    await call(on, "mark_completed", { request_id: id, response, parsed_response });
    const next = await callOne<string>(on, "submit_tool_results", {
      request_id: id,
      tool_results: [{ id: "c1", result: 1 }],
    });
    const messages = (await read(on, next)).messages as { role: string; content: string }[];
    expect(messages.slice(1)).toMatchObject([{ role: "assistant", content }, { role }]);
  });

  test("refuses a second answer to the same turn, and queues nothing for it", async () => {
    const id = await answered();
    const next = await callOne<string>(on, "submit_tool_results", { request_id: id, tool_results: results });
    const [before] = await database.query("select count(*)::int as rows from llmq.requests");
    const error = await errorOf(call(on, "submit_tool_results", { request_id: id, tool_results: results }));
    expect(error?.code).toBe("LQ009");
    expect(error?.detail).toContain(next);
    expect((await database.query("select count(*)::int as rows from llmq.requests"))[0]).toEqual(before);
  });

  test("two answers at once: the second waits, and is refused or taken as the first ends", async () => {
    for (const end of ["commit", "rollback"]) {
      const id = await answered();
      const [first, second] = [await database.connect(), await database.connect()];
      await first.query("begin");
      await call(first, "submit_tool_results", { request_id: id, tool_results: results });
      const other = codeOf(call(second, "submit_tool_results", { request_id: id, tool_results: results }));
      await waitForBlockedBackend(database, "submit_tool_results");
      await first.query(end);
      expect(await other).toBe(end === "commit" ? "LQ009" : "no error");
    }
  });

  test.each([
    ["no array", "{}", "LQ001"],
    ["null", "null", "LQ001"],
    ["an element that is no object", "[1]", "LQ001"],
    ["an element without a result", '[{"id": "c1"}]', "LQ001"],
    ["an id that is no text", '[{"id": 1, "result": 1}]', "LQ001"],
    ["a call without its result", '[{"id": "c1", "result": 1}]', "LQ009"],
    [
      "a result for no call",
      '[{"id": "c1", "result": 1}, {"id": "c2", "result": 1}, {"id": "c3", "result": 1}]',
      "LQ009",
    ],
    [
      "two results for a call",
      '[{"id": "c1", "result": 1}, {"id": "c2", "result": 1}, {"id": "c2", "result": 2}]',
      "LQ009",
    ],
  ])("refuses %s", async (_what, toolResults, code) => {
    const id = await answered();
    expect(await codeOf(call(on, "submit_tool_results", { request_id: id, tool_results: toolResults }))).toBe(
      code,
    );
    expect(await database.query("select * from llmq.tool_results where request_id = $1", [id])).toEqual([]);
  });

  test("refuses a request that is unknown, or not finished yet", async () => {
    expect(
      await codeOf(call(on, "submit_tool_results", { request_id: unknownId, tool_results: results })),
    ).toBe("LQ002");
    const id = await submit(on, { tools });
    expect(await codeOf(call(on, "submit_tool_results", { request_id: id, tool_results: results }))).toBe(
      "LQ009",
    );
  });
});
