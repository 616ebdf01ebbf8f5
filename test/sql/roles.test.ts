import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase, testServer } from "../support/database.ts";
import {
  call,
  callOne,
  codeOf,
  configureModels,
  hello,
  type Queryable,
  queryable,
  read,
  submit,
} from "./support.ts";

const denied = "42501";
const VIEWS = [
  "queue_depth",
  "queue_by_agent",
  "stuck_requests",
  "requests_by_minute",
  "completed_last_hour",
  "agent_success_rate",
  "recent_failures",
  "validation_failures",
  "latency_by_model",
  "tool_call_counts",
  "provider_outages",
  "limit_use",
  "provider_health",
  "token_usage",
  "cost_by_day",
  "budget_use",
  "worker_health",
  "table_health",
  "storage_health",
];

describe.runIf(testServer().hasRoles)("roles", () => {
  let database: TestDatabase;
  let on: Queryable;
  /** Login roles of this file; roles belong to the server, so their names are its own. */
  const suffix = randomUUID().slice(0, 8);
  const name = (role: string) => `${role}_${suffix}`;
  const members = {
    alice: "llmq_client",
    bob: "llmq_client",
    worker: "llmq_worker",
    reader: "llmq_reader",
    admin: "llmq_admin",
    nobody: null,
  };
  type Member = keyof typeof members;
  const connections = {} as Record<Member, pg.Client>;
  let owned: string;
  let free: string;

  beforeAll(async () => {
    database = await createTestDatabase();
    on = queryable(database);
    await configureModels(database);
    for (const [role, group] of Object.entries(members)) {
      await database.query(`create role ${name(role)} login password 'test'`);
      if (group) await database.query(`grant ${group} to ${name(role)}`);
      const url = new URL(database.url);
      url.username = name(role);
      url.password = "test";
      const client = new pg.Client({ connectionString: url.href });
      await client.connect();
      connections[role as Member] = client;
    }
    await database.query("select llmq.grant_roles()");
    await database.query(`select llmq.configure_agent('alices', owner => '${name("alice")}')`);
    owned = await submit(on, { agent_id: "alices", idempotency_key: "owned" });
    free = await submit(on, { agent_id: "anybodys" });
  });
  afterAll(async () => {
    for (const client of Object.values(connections)) await client.end();
    await database.drop();
    // The last connection of this file has to come from somewhere else: its own database is gone.
    const client = new pg.Client({ connectionString: testServer().url });
    await client.connect();
    for (const role of Object.keys(members)) await client.query(`drop role if exists ${name(role)}`);
    await client.end();
  });

  describe("a client", () => {
    test("does all a client does, for agents without an owner", async () => {
      const { bob } = connections;
      const id = await submit(bob, { agent_id: "bobs", idempotency_key: "k" });
      const rows = await call(bob, "submit_llm_requests", {
        requests: [{ agent_id: "bobs", task_type: "t", messages: hello }],
      });
      expect(rows).toHaveLength(1);
      expect((await call(bob, "get_llm_request", { request_id: id }))[0]?.messages).toEqual(hello);
      expect(await callOne(bob, "status_of", { request_id: id })).toBe("pending");
      expect(await callOne<{ why: string }>(bob, "explain_llm_request", { request_id: id })).toHaveProperty(
        "why",
      );
      expect(await callOne(bob, "cancel_llm_request", { request_id: id })).toBe(true);
      expect(await callOne(bob, "retry_llm_request", { request_id: id })).toBe(true);
      expect(await codeOf(bob.query("call llmq.wait_for_llm_request($1, '1 ms')", [id]))).toBe("LQ008");
      expect(
        (await bob.query("select messages from llmq.llm_requests where id = $1", [id])).rows,
      ).toHaveLength(1);
      const inserted = await bob.query(
        "insert into llmq.llm_requests (agent_id, task_type, messages) values ('bobs', 't', $1) returning id, status",
        [JSON.stringify(hello)],
      );
      expect(inserted.rows[0]?.status).toBe("pending");
      expect(await call(bob, "read_inbox", { agent_id: "bobs" })).toEqual([]);
      expect(await callOne(bob, "result_channel", { agent_id: "bobs" })).toBe("llmq_result:bobs");
    });

    test("finds nothing of an agent that belongs to another role", async () => {
      const { bob } = connections;
      for (const action of [
        "get_llm_request",
        "status_of",
        "cancel_llm_request",
        "retry_llm_request",
        "explain_llm_request",
      ]) {
        expect(await codeOf(call(bob, action, { request_id: owned })), action).toBe("LQ002");
      }
      expect(await codeOf(call(bob, "submit_tool_results", { request_id: owned, tool_results: "[]" }))).toBe(
        "LQ002",
      );
      expect(await codeOf(bob.query("call llmq.wait_for_llm_request($1, '1 ms')", [owned]))).toBe("LQ002");
      expect((await bob.query("select id from llmq.llm_requests where agent_id = 'alices'")).rows).toEqual(
        [],
      );
      expect(await codeOf(call(bob, "read_inbox", { agent_id: "alices" }))).toBe("LQ005");
      expect((await read(on, owned)).status).toBe("pending");
    });

    test("cannot submit for it either, in any way", async () => {
      const { bob } = connections;
      expect(await codeOf(submit(bob, { agent_id: "alices" }))).toBe("LQ005");
      expect(await codeOf(submit(bob, { agent_id: "alices", idempotency_key: "owned" }))).toBe("LQ005");
      const requests = [{ agent_id: "alices", task_type: "t", messages: hello }];
      expect(await codeOf(call(bob, "submit_llm_requests", { requests }))).toBe("LQ005");
      const insert =
        "insert into llmq.llm_requests (agent_id, task_type, messages) values ('alices', 't', $1)";
      expect(await codeOf(bob.query(insert, [JSON.stringify(hello)]))).toBe("LQ005");
    });

    test("finds, submits and cancels its own agent's requests", async () => {
      const { alice } = connections;
      expect(await submit(alice, { agent_id: "alices", idempotency_key: "owned" })).toBe(owned);
      expect((await alice.query("select id from llmq.llm_requests where agent_id = 'alices'")).rows).toEqual([
        { id: owned },
      ]);
      const id = await submit(alice, { agent_id: "alices" });
      expect(await callOne(alice, "cancel_llm_request", { request_id: id })).toBe(true);
      expect(await callOne(alice, "retry_llm_request", { request_id: id })).toBe(true);
      await callOne(alice, "cancel_llm_request", { request_id: id });
    });

    test("changes and removes no rows of the view", async () => {
      for (const statement of [
        "update llmq.llm_requests set priority = 100",
        "delete from llmq.llm_requests",
      ]) {
        expect(await codeOf(connections.bob.query(statement))).toBe("42501");
      }
    });

    test("is who it set its role to, not who logged in", async () => {
      const { bob } = connections;
      const superuser = await database.connect();
      expect(await codeOf(bob.query(`set role ${name("alice")}`))).toBe(denied);
      await superuser.query(`set role ${name("bob")}`);
      expect(await codeOf(call(superuser, "status_of", { request_id: owned }))).toBe("LQ002");
      await superuser.query(`set role ${name("alice")}`);
      expect(await callOne(superuser, "status_of", { request_id: owned })).toBe("pending");
    });

    test("an agent whose owner was dropped is nobody's but the administrators'", async () => {
      await database.query(`create role ${name("gone")}`);
      await database.query(`select llmq.configure_agent('orphan', owner => '${name("gone")}')`);
      const id = await submit(on, { agent_id: "orphan" });
      await database.query(`drop role ${name("gone")}`);
      expect(await codeOf(call(connections.bob, "status_of", { request_id: id }))).toBe("LQ002");
      expect(await callOne(connections.admin, "status_of", { request_id: id })).toBe("pending");
    });

    test.each([
      "select * from llmq.requests",
      "select * from llmq.queue",
      "select * from llmq.in_flight",
      "select * from llmq.results",
      "select * from llmq.attempts",
      "select * from llmq.settings",
      "select * from llmq.inbox",
      "select * from llmq.idempotency_keys",
      "insert into llmq.agents (agent_id) values ('x')",
      "update llmq.queue set priority = 100",
      "select * from llmq.claim_pending_llm_requests()",
      "select llmq.mark_completed(null, 'x')",
      "select llmq.configure_agent('alices', owner => 'postgres')",
      "select llmq.cleanup_llm_requests('0 s')",
      "select llmq.maintain()",
      "select llmq.enqueue(null)",
      "select llmq.finish_requests('[]')",
      "select llmq.grant_roles()",
    ])("may not: %s", async (statement) => {
      expect(await codeOf(connections.bob.query(statement))).toBe(denied);
    });
  });

  describe("a worker", () => {
    test("does a whole request, and all that orchestrators do beside it", async () => {
      const { worker } = connections;
      const workerId = await callOne<string>(worker, "register_worker", { name: "w" });
      const claimed = await call(worker, "claim_pending_llm_requests", {
        worker_id: workerId,
        max_requests: 1000,
      });
      expect(claimed.map((request) => request.id)).toEqual(expect.arrayContaining([owned, free]));
      const [one, two, ...others] = claimed;
      await call(worker, "complete_llm_requests", {
        answers: [{ request_id: one?.id, claim_id: one?.claim_id, response: "x" }],
      });
      await call(worker, "fail_llm_requests", {
        failures: [
          { request_id: two?.id, claim_id: two?.claim_id, error_class: "transient", error_message: "x" },
        ],
      });
      expect(others.length).toBeGreaterThan(0);
      for (const action of [
        "select llmq.heartbeat_worker($1)",
        "select * from llmq.take_cancellations($1)",
        "select llmq.lost_claims($1, '{1}')",
        "select llmq.note_llm_calls($1, 1, '[]')",
        "select llmq.busy_claims('{1}') where $1::uuid is not null",
        "select llmq.release_llm_requests($1)",
        "select llmq.unregister_worker($1)",
      ]) {
        await worker.query(action, [workerId]);
      }
      for (const action of [
        "select llmq.arm_wake(), llmq.disarm_wake(), llmq.maintain(), llmq.ensure_partitions(), llmq.cleanup_llm_requests()",
        "select * from llmq.handle_shared_queue('job_results')",
        "select * from llmq.read_external_results()",
        "select * from llmq.settle_external_results('[]')",
        "select llmq.schema_version(), llmq.import_prices('[]'), llmq.read_metrics()",
        "select * from llmq.models, llmq.providers, llmq.routes, llmq.settings, llmq.shared_queues, llmq.workers",
      ]) {
        await worker.query(action);
      }
    });

    test("claims by hand without a worker of its own", async () => {
      const id = await submit(on, { agent_id: "by hand" });
      const claimId = await callOne(connections.worker, "mark_processing", { request_id: id });
      expect(
        await callOne(connections.worker, "mark_completed", {
          request_id: id,
          response: "x",
          claim_id: claimId,
        }),
      ).toBe(true);
    });

    test.each([
      "select * from llmq.llm_requests",
      "select * from llmq.requests",
      "select * from llmq.results",
      "update llmq.models set paused = true",
      "update llmq.settings set value = '0'",
      "select llmq.configure_model('m', 'sim')",
      "select llmq.configure_price('first', 1, 1)",
      "select llmq.submit_llm_request('a', 't', '[]')",
    ])("may not: %s", async (statement) => {
      expect(await codeOf(connections.worker.query(statement))).toBe(denied);
    });
  });

  describe("a reader", () => {
    test.each([
      "select id, agent_id, status, error_message, input_tokens, cost_usd from llmq.llm_requests order by id desc limit 5",
      "select count(*) from llmq.llm_requests where status = 'pending'",
      "select * from llmq.prices, llmq.current_prices",
      ...VIEWS.map((view) => `select * from llmq.${view}`),
      "select request_id, agent_id, model, tool_call_id, tool_name, finished_at from llmq.tool_calls",
      "select * from llmq.attempts",
      "select * from llmq.workers",
      "select llmq.schema_version()",
    ])("reads: %s", async (statement) => {
      expect(await codeOf(connections.reader.query(statement))).toBe("no error");
    });

    test("finds nothing in the views of an agent that belongs to another role; a member of it does", async () => {
      const parsed = { tool_calls: [{ id: "c", tool_name: "look", params: {} }], final_response: null };
      const queued = await submit(on, { agent_id: "secretive", run_at: "2000-01-01" });
      const answered = await submit(on, { agent_id: "secretive", run_at: "2000-01-01" });
      const failed = await submit(on, { agent_id: "secretive" });
      for (const id of [answered, failed]) await callOne(on, "mark_processing", { request_id: id });
      await callOne(on, "mark_completed", {
        request_id: answered,
        response: "x",
        parsed_response: JSON.stringify(parsed),
      });
      await callOne(on, "mark_failed", {
        request_id: failed,
        error_type: "malformed_response",
        error_message: "secretive",
        retry: false,
        validation_errors: JSON.stringify([{ type: "schema_violation", field: "a", message: "b" }]),
      });
      await database.query(
        `select llmq.configure_agent('secretive', daily_budget_usd => 5, owner => '${name("alice")}')`,
      );
      await database.query("update llmq.queue set run_at = '2000-01-01' where id = $1", [queued]);
      const naming = [
        "queue_by_agent",
        "stuck_requests",
        "agent_success_rate",
        "completed_last_hour",
        "recent_failures",
        "validation_failures",
        "tool_call_counts",
        "token_usage",
        "cost_by_day",
        "budget_use",
      ];
      const seen = async (as: pg.Client) => {
        const found: string[] = [];
        for (const view of [...naming, "tool_calls"]) {
          const query = `select count(*)::int as rows from llmq.${view} where agent_id = 'secretive'`;
          if ((await as.query(query)).rows[0]?.rows > 0) found.push(view);
        }
        return found;
      };
      expect(await seen(connections.reader)).toEqual([]);
      expect(await seen(connections.admin)).toEqual([...naming, "tool_calls"]);
      await connections.reader.query(`
        create temp table overheard (what text);
        create function pg_temp.overhear(text) returns boolean language plpgsql cost 0.0000001 as
          $$ begin insert into pg_temp.overheard values ($1); return true; end $$`);
      for (const said of [
        "recent_failures where pg_temp.overhear(error_message)",
        "validation_failures where pg_temp.overhear(message)",
      ]) {
        await connections.reader.query(`select id from llmq.${said}`);
      }
      const { rows } = await connections.reader.query("select * from overheard where what is not null");
      expect(rows).toEqual([]);
    });

    test.each([
      ...[
        "messages",
        "context",
        "response",
        "parsed_response",
        "validation_errors",
        "tools",
        "settings",
        "response_schema",
      ].map((column) => `select ${column} from llmq.llm_requests`),
      "select * from llmq.llm_requests",
      "select * from llmq.requests",
      "select * from llmq.results",
      "select * from llmq.inbox",
      "select * from llmq.tool_results",
      "select params from llmq.tool_calls",
      "select * from llmq.tool_calls",
      "select llmq.read_metrics()",
      "select llmq.get_llm_request(null)",
      "select llmq.submit_llm_request('a', 't', '[]')",
      "select llmq.cancel_llm_request(null)",
      "select * from llmq.claim_pending_llm_requests()",
      "update llmq.settings set value = '0'",
    ])("may not: %s", async (statement) => {
      expect(await codeOf(connections.reader.query(statement))).toBe(denied);
    });
  });

  test("an administrator configures, sees and ends everything", async () => {
    const { admin } = connections;
    await admin.query("select llmq.configure_provider('adm', 'sim')");
    await admin.query(
      "select llmq.configure_model('adm', 'adm'), llmq.configure_route('complex', array['adm'], 'adm')",
    );
    await admin.query("select llmq.configure_agent('adm', 2)");
    await admin.query("update llmq.settings set value = '7' where name = 'max_attempts'");
    await admin.query("update llmq.settings set value = '8' where name = 'max_attempts'");
    const id = await submit(connections.alice, { agent_id: "alices" });
    expect(await callOne(admin, "cancel_llm_request", { request_id: id })).toBe(true);
    expect(
      (await admin.query("select messages from llmq.llm_requests where id = $1", [id])).rows,
    ).toHaveLength(1);
    const other = await submit(admin, { agent_id: "alices" });
    expect(await callOne(admin, "status_of", { request_id: other })).toBe("pending");
    await admin.query("select * from llmq.requests, llmq.results, llmq.inbox");
    await admin.query("select llmq.maintain()");
  });

  test.each([
    "select llmq.schema_version()",
    "select * from llmq.llm_requests",
    "select llmq.submit_llm_request('a', 't', '[]')",
    "select llmq.caller()",
  ])("somebody without a role may not: %s", async (statement) => {
    expect(await codeOf(connections.nobody.query(statement))).toBe(denied);
  });

  describe("a hostile session", () => {
    /** What a client could make to be found instead of the real thing: tables, types and functions. */
    const traps = `
      create temp table models (lane int, name text);
      create temp table queue (id uuid);
      create temp table settings (name text, value jsonb);
      create temp table trapped (who text);
      create function pg_temp.trap(anyelement) returns boolean language plpgsql as
        $$ begin insert into pg_temp.trapped values (current_user); return true; end $$;
      create domain pg_temp.text as pg_catalog.text check (pg_temp.trap(value));
      create domain pg_temp.uuid as pg_catalog.uuid check (pg_temp.trap(value));
      create domain pg_temp.jsonb as pg_catalog.jsonb check (pg_temp.trap(value));
      create domain pg_temp.timestamptz as pg_catalog.timestamptz check (pg_temp.trap(value));`;

    test("changes nothing and runs nothing with its temporary objects", async () => {
      const url = new URL(database.url);
      url.username = name("bob");
      url.password = "test";
      const bob = new pg.Client({ connectionString: url.href });
      await bob.connect();
      try {
        await bob.query(traps);
        const id = await submit(bob, { agent_id: "bobs", idempotency_key: "hostile" });
        await call(bob, "submit_llm_requests", {
          requests: [{ agent_id: "bobs", task_type: "t", messages: hello }],
        });
        await call(bob, "get_llm_request", { request_id: id });
        await call(bob, "explain_llm_request", { request_id: id });
        await call(bob, "cancel_llm_request", { request_id: id });
        await call(bob, "retry_llm_request", { request_id: id });
        await codeOf(bob.query("call llmq.wait_for_llm_request($1, '1 ms')", [id]));
        const { rows } = await bob.query("select distinct who from pg_temp.trapped");
        // As itself it may run what it likes; as the owner of the functions nothing of its own.
        expect(rows.filter((row) => row.who !== name("bob"))).toEqual([]);
      } finally {
        await bob.end();
      }
    });

    test("sees nothing that others said by a function in its WHERE", async () => {
      await callOne(on, "submit_llm_request", {
        agent_id: "alices",
        task_type: "t",
        messages: [{ role: "user", content: "a secret prompt" }],
        context: { note: "a secret note" },
        idempotency_key: "a secret key",
      });
      const failed = await submit(on, { agent_id: "alices" });
      await callOne(on, "mark_processing", { request_id: failed });
      await callOne(on, "mark_failed", {
        request_id: failed,
        error_type: "malformed_response",
        error_message: "a secret reason",
        retry: false,
        response: "a secret answer",
      });
      const url = new URL(database.url);
      url.username = name("bob");
      url.password = "test";
      const bob = new pg.Client({ connectionString: url.href });
      await bob.connect();
      try {
        await bob.query(`
          create temp table overheard (what text);
          create function pg_temp.overhear(text) returns boolean language plpgsql cost 0.0000001 as
            $$ begin insert into pg_temp.overheard values ($1); return true; end $$`);
        for (const column of [
          "messages",
          "context",
          "idempotency_key",
          "response",
          "error_message",
          "settings",
          "tools",
        ]) {
          await bob.query(`select id from llmq.llm_requests where pg_temp.overhear(${column}::text)`);
        }
        await bob.query(
          "select id from llmq.llm_requests where pg_temp.overhear(agent_id || messages::text || context::text)",
        );
        const { rows } = await bob.query(
          "select count(*)::int as all, count(*) filter (where what like '%secret%')::int as secret from overheard",
        );
        expect(rows[0]?.all).toBeGreaterThan(0);
        expect(rows[0]?.secret).toBe(0);
      } finally {
        await bob.end();
      }
    });

    test("nor by its search_path", async () => {
      const superuser = await database.connect();
      await superuser.query(`
        create schema hostile;
        create table hostile.queue (id uuid);
        create table hostile.settings (name text, value jsonb);
        create function hostile.jsonb_typeof(jsonb) returns text language sql as $$ select 'array' $$;
        create function hostile.clock_timestamp() returns timestamptz language sql as $$ select 'infinity'::timestamptz $$;
        grant usage on schema hostile to public;`);
      await superuser.query(`set role ${name("alice")}; set search_path = hostile, pg_catalog`);
      const id = await submit(superuser, { agent_id: "alices" });
      expect(await codeOf(submit(superuser, { agent_id: "alices", messages: {} }))).toBe("LQ001");
      expect(await callOne(superuser, "status_of", { request_id: id })).toBe("pending");
      expect(await callOne(superuser, "cancel_llm_request", { request_id: id })).toBe(true);
    });
  });
});
