import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { waitForBlockedBackend } from "../support/eventually.ts";
import { codeOf, configureModels, type Queryable, queryable, read, submit } from "./support.ts";

let database: TestDatabase;
let on: Queryable;

beforeAll(async () => {
  database = await createTestDatabase();
  on = queryable(database);
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.query("truncate llmq.routes; delete from llmq.models where name <> 'external'");
  await configureModels(database);
});

const modelOf = async (over: Record<string, unknown> = {}) => (await read(on, await submit(on, over))).model;

/** What is compiled, and what compiling all of it now would give. */
async function compiled(): Promise<{ kept: unknown; fresh: unknown }> {
  const text = "select jsonb_agg(to_jsonb(e) order by e.kind, e.name) as rows from llmq.entrances as e";
  const [kept] = await database.query(text);
  await database.query("update llmq.settings set value = value where name = 'pgmq'");
  const [fresh] = await database.query(text);
  return { kept: kept?.rows, fresh: fresh?.rows };
}

describe("a change by hand holds from the next submit on:", () => {
  test("a route's models", async () => {
    await database.query("update llmq.routes set models = array['second'] where complexity = '*'");
    expect(await modelOf()).toBe("second");
  });

  test("a route for one task type, and its end", async () => {
    await database.query(
      "insert into llmq.routes (task_type, complexity, models) values ('own', 'medium', array['third'])",
    );
    expect(await modelOf({ task_type: "own" })).toBe("third");
    expect(await modelOf({ task_type: "own", complexity: "simple" })).toBe("first");
    await database.query("delete from llmq.routes where task_type = 'own'");
    expect(await modelOf({ task_type: "own" })).toBe("first");
  });

  test("a route for one task type alone", async () => {
    await database.query("truncate llmq.routes");
    await database.query("select llmq.configure_route('medium', array['third'], 'own')");
    expect(await modelOf({ task_type: "own" })).toBe("third");
    expect(await codeOf(submit(on, { task_type: "own", complexity: "simple" }))).toBe("LQ003");
    expect(await codeOf(submit(on))).toBe("LQ003");
  });

  test("no routes at all", async () => {
    await database.query("truncate llmq.routes");
    expect(await codeOf(submit(on))).toBe("LQ003");
    expect(await modelOf({ model: "alone" })).toBe("alone");
    expect(await modelOf({ context: { executor: "external" } })).toBe("external");
  });

  test("a model's name", async () => {
    await database.query("update llmq.models set name = 'renamed' where name = 'first'");
    expect(await codeOf(submit(on))).toBe("LQ003");
    expect(await codeOf(submit(on, { model: "first" }))).toBe("LQ003");
    expect(await modelOf({ model: "renamed" })).toBe("renamed");
  });

  test("a model that is gone, and back in another lane", async () => {
    await database.query("delete from llmq.models where name = 'first'");
    expect(await codeOf(submit(on))).toBe("LQ003");
    await database.query("select llmq.configure_model('first', 'sim')");
    expect(await modelOf()).toBe("first");
  });

  test("the setting max_attempts", async () => {
    await database.query("update llmq.settings set value = '3' where name = 'max_attempts'");
    expect((await read(on, await submit(on))).max_attempts).toBe(3);
    await database.query("update llmq.settings set value = '8' where name = 'max_attempts'");
  });
});

test("a model named * is no answer for models that do not exist", async () => {
  await database.query("select llmq.configure_model('*', 'sim')");
  expect(await codeOf(submit(on, { model: "nobody" }))).toBe("LQ003");
  expect(await modelOf({ model: "*" })).toBe("*");
});

describe("the first agent with a weight or an owner", () => {
  const agents = async () =>
    (await database.query("select distinct agents from llmq.entrances")).map((row) => row.agents);
  beforeEach(async () => {
    await database.query("truncate llmq.agents; update llmq.entrances set agents = false");
  });

  test("is found by the next submit; budgets and the like are not asked for there", async () => {
    await database.query("select llmq.configure_agent('thrifty', daily_budget_usd => 1)");
    expect(await agents()).toEqual([false]);
    await database.query("select llmq.configure_agent('heavy', weight => 4)");
    expect(await agents()).toEqual([true]);
    await submit(on, { agent_id: "heavy" });
    await submit(on, { agent_id: "other" });
    const tags = await database.query(
      "select q.tag - l.vt as step from llmq.queue as q join llmq.lane_marks as l using (lane, priority) order by q.id desc limit 2",
    );
    expect(tags.map((row) => row.step)).toEqual([1, 0.25]);
  });

  test("is announced by hand, too, and stays so when routes change", async () => {
    await database.query("insert into llmq.agents (agent_id) values ('plain')");
    expect(await agents()).toEqual([false]);
    await database.query("update llmq.agents set owner = current_user where agent_id = 'plain'");
    expect(await agents()).toEqual([true]);
    await database.query("select llmq.configure_route('*', array['second'])");
    expect(await agents()).toEqual([true]);
  });

  test("may be configured by two transactions at once, each with a route of its own", async () => {
    const [first, second] = [await database.connect(), await database.connect()];
    await first.query("begin");
    await second.query("begin");
    await first.query("select llmq.configure_agent('one', weight => 2)");
    const waiting = second.query("select llmq.configure_agent('two', weight => 2)");
    await waitForBlockedBackend(database);
    await first.query("select llmq.configure_route('*', array['second'], 'one')");
    await first.query("commit");
    await waiting;
    await second.query("select llmq.configure_route('*', array['third'], 'two')");
    await second.query("commit");
    expect(await agents()).toEqual([true]);
    expect(await modelOf({ task_type: "one" })).toBe("second");
    expect(await modelOf({ task_type: "two" })).toBe("third");
  });

  test("is not overlooked by a configuration of which it knows nothing", async () => {
    const [first, second] = [await database.connect(), await database.connect()];
    await first.query("begin");
    await first.query("select llmq.configure_route('*', array['second'])");
    const waiting = second.query("select llmq.configure_agent('owned', owner => current_user)");
    await waitForBlockedBackend(database);
    await first.query("commit");
    await waiting;
    expect(await agents()).toEqual([true]);
  });
});

describe("two transactions configure at once", () => {
  test("the second waits for the first, and both hold", async () => {
    const [first, second] = [await database.connect(), await database.connect()];
    await first.query("begin");
    await first.query("select llmq.configure_route('*', array['second'], 'one')");
    const waiting = second.query("select llmq.configure_route('*', array['third'], 'two')");
    await waitForBlockedBackend(database);
    // A submit waits for neither, and sees neither.
    expect(await modelOf({ task_type: "one" })).toBe("first");
    await first.query("commit");
    await waiting;
    expect(await modelOf({ task_type: "one" })).toBe("second");
    expect(await modelOf({ task_type: "two" })).toBe("third");
    const { kept, fresh } = await compiled();
    expect(kept).toEqual(fresh);
  });

  test("under REPEATABLE READ the one that cannot see the other fails, and nothing of it stays", async () => {
    const late = await database.connect();
    await late.query("begin isolation level repeatable read");
    await late.query("select from llmq.models");
    await database.query("update llmq.routes set models = array['second']");
    expect(await codeOf(late.query("update llmq.models set context_window = 1 where name = 'third'"))).toBe(
      "40001",
    );
    await late.query("rollback");
    expect(await modelOf()).toBe("second");
    const { kept, fresh } = await compiled();
    expect(kept).toEqual(fresh);
  });
});
