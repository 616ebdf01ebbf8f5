import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startEmbeddedPostgres } from "../../src/database/embedded.ts";
import { createListener, type Listener, type ListenerOptions } from "../../src/database/listener.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";

let database: TestDatabase;
const listeners: Listener[] = [];
const proxies: TcpProxy[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
});

afterEach(async () => {
  await Promise.all(listeners.splice(0).map((listener) => listener.stop()));
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
});

afterAll(async () => {
  await database?.drop();
});

/** A listener that tries again after some milliseconds, and what it told. */
function listenerOn(options: Partial<ListenerOptions> = {}) {
  const told: string[] = [];
  const log: [fields: object, message: string][] = [];
  const note = (fields: object, message: string) => void log.push([fields, message]);
  const listener = createListener({
    connectionString: database.url,
    channels: ["llmq_test"],
    onNotification: (channel, payload) => void told.push(`${channel}=${payload}`),
    onModeChange: (mode) => void told.push(mode),
    onConnected: () => void told.push("connected"),
    logger: { debug: note, warn: note, error: note },
    minRetryMs: 2,
    maxRetryMs: 20,
    ...options,
  });
  listeners.push(listener);
  return { listener, told, log };
}

async function proxyTo(target?: string): Promise<TcpProxy> {
  const proxy = await startTcpProxy(target);
  proxies.push(proxy);
  return proxy;
}

const notify = (channel: string, payload = "") =>
  database.query("select pg_notify($1, $2)", [channel, payload]);

const backends = () =>
  database.query<{ pid: number }>(
    "select pid from pg_stat_activity where datname = current_database() and application_name = 'llmq listener'",
  );

const heard = (told: string[], what: string) =>
  eventually(() => told.includes(what), { what: `${what} among ${told}` });

const times = (told: string[], what: string) => told.filter((one) => one === what).length;

const connectedTimes = (told: string[], count: number) =>
  eventually(() => times(told, "connected") >= count, { what: `connection ${count}` });

describe("a listener", () => {
  it("delivers payloads as they were sent, whatever they look like", async () => {
    const { listener, told } = listenerOn();
    await listener.start();
    expect(listener.mode).toBe("listening");
    expect(told).toEqual(["listening", "connected"]);
    await notify("llmq_test", '{"a": 1}');
    await notify("llmq_test", "not { json");
    await notify("llmq_test");
    await notify("another");
    await notify("llmq_test", "last");
    await heard(told, "llmq_test=last");
    expect(told.slice(2)).toEqual([
      'llmq_test={"a": 1}',
      "llmq_test=not { json",
      "llmq_test=",
      "llmq_test=last",
    ]);
  });

  it.each(["llmq_result:agent 1", 'quote " and \\ and %', "Upper", "user", "zoë", "x".repeat(63), "1;--"])(
    "listens to a channel called %s",
    async (channel) => {
      const { listener, told } = listenerOn({ channels: [channel] });
      await listener.start();
      await notify(channel, "x");
      await heard(told, `${channel}=x`);
    },
  );

  it("refuses names that the server would cut, at once", async () => {
    const tooLong = ["", "x".repeat(64), "ë".repeat(32), "a\0b"];
    for (const name of tooLong) expect(() => listenerOn({ channels: [name] })).toThrow(RangeError);
    const { listener } = listenerOn();
    for (const name of tooLong) await expect(listener.listen(name)).rejects.toThrow(RangeError);
  });

  it("takes up and gives up channels while it runs, in the order of the calls", async () => {
    const { listener, told } = listenerOn({ channels: [] });
    await listener.start();
    expect(listener.mode).toBe("listening");
    await listener.listen("one");
    await notify("one", "1");
    await heard(told, "one=1");
    void listener.listen("two");
    void listener.unlisten("two");
    void listener.listen("two");
    await listener.unlisten("one");
    await notify("one", "2");
    await notify("two", "3");
    await heard(told, "two=3");
    expect(told).not.toContain("one=2");
  });

  it("listens to what was wanted before it was connected, and to all of it again after a loss", async () => {
    const { listener, told } = listenerOn({ channels: ["one"] });
    await listener.listen("two");
    await listener.start();
    await listener.listen("three");
    await terminate();
    await connectedTimes(told, 2);
    for (const channel of ["one", "two", "three"]) await notify(channel, "again");
    await Promise.all(["one", "two", "three"].map((channel) => heard(told, `${channel}=again`)));
  });

  it("a name that the server refuses does not keep the others from being heard", async () => {
    const { listener, told, log } = listenerOn({ channels: ["lateral", "llmq_test"] });
    await listener.start();
    await notify("llmq_test", "x");
    await heard(told, "llmq_test=x");
    expect(log.at(0)).toMatchObject([{ channel: "lateral" }, "the server refuses to listen to this channel"]);
    await expect(listener.listen("lateral")).rejects.toMatchObject({ code: "42601" });
    expect(listener.mode).toBe("listening");
  });

  it("goes on when a callback of its owner throws", async () => {
    const { listener, log } = listenerOn({
      onNotification: () => {
        throw new Error("the owner's fault");
      },
    });
    await listener.start();
    await notify("llmq_test", "x");
    await eventually(() => log.some(([, message]) => message === "a callback of the listener failed"));
    expect(listener.mode).toBe("listening");
  });
});

async function terminate(): Promise<void> {
  const ended = await database.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'llmq listener'",
  );
  expect(ended.length).toBeGreaterThan(0);
}

describe("when the connection is lost", () => {
  it("a terminated backend is replaced, and its owner is told to look, each time", async () => {
    const { listener, told, log } = listenerOn();
    await listener.start();
    for (let round = 1; round <= 5; round++) {
      await terminate();
      await connectedTimes(told, round + 1);
      await notify("llmq_test", `round ${round}`);
      await heard(told, `llmq_test=round ${round}`);
    }
    const why = "terminating connection due to administrator command";
    expect(log[1]).toMatchObject([{ err: { message: why } }, expect.any(String)]);
    const modes = told.filter((one) => one === "listening" || one === "polling");
    expect(modes.slice(0, 4)).toEqual(["listening", "polling", "listening", "polling"]);
    await eventually(async () => (await backends()).length === 1);
  });

  it("a half-open connection is found by the health check", async () => {
    const proxy = await proxyTo(database.url);
    const { listener, told, log } = listenerOn({
      connectionString: proxy.url(database.url),
      healthCheckMs: 20,
      queryTimeoutMs: 200,
      connectTimeoutMs: 500,
    });
    await listener.start();
    proxy.freeze();
    await heard(told, "polling");
    proxy.thaw();
    await connectedTimes(told, 2);
    // Again and again: with limits this tight a busy machine loses connections that are well.
    await eventually(async () => {
      await notify("llmq_test", "after");
      return told.includes("llmq_test=after");
    });
    expect(log[1]).toMatchObject([{ err: { message: "Query read timeout" } }, expect.any(String)]);
    await eventually(() => proxy.open === 1, { what: "the end of the half-open connection" });
  });

  it("UNLISTEN behind its back is found by the health check", async () => {
    const proxy = await proxyTo(database.url);
    const { listener, told, log } = listenerOn({
      connectionString: proxy.url(database.url),
      channels: ["one", "two"],
      // Long enough for the statement to reach the server between two checks.
      healthCheckMs: 1_000,
    });
    await listener.start();
    for (const [round, sql] of ['unlisten "two"', "unlisten *"].entries()) {
      await proxy.inject(sql);
      await connectedTimes(told, round + 2);
      await notify("two", sql);
      await heard(told, `two=${sql}`);
    }
    expect(log[1]).toMatchObject([
      { err: { message: "the session no longer listens to two" } },
      expect.any(String),
    ]);
  });

  it("a session that is well stays for many health checks", async () => {
    const { listener, told } = listenerOn({ healthCheckMs: 1 });
    await listener.start();
    const before = await backends();
    const seen = new Set<string>();
    await eventually(async () => {
      const rows = await database.query<{ query_start: Date }>(
        "select query_start from pg_stat_activity where datname = current_database() and application_name = 'llmq listener' and query like '%pg_listening_channels%'",
      );
      for (const row of rows) seen.add(row.query_start.toISOString());
      return seen.size > 5;
    });
    expect(await backends()).toEqual(before);
    expect(told).toEqual(["listening", "connected"]);
  });

  it("it outlives a server that stops and starts again", async () => {
    const directory = await mkdtemp(join(tmpdir(), "llmq-listener-"));
    const start = () =>
      startEmbeddedPostgres({
        dataDir: join(directory, "postgres"),
        log: { debug: () => {}, info: () => {}, warn: console.warn },
        fsync: false,
      });
    const first = await start();
    try {
      const { listener, told } = listenerOn({ connectionString: first.url });
      await listener.start();
      await first.stop();
      await heard(told, "polling");
      expect(listener.mode).toBe("polling");
      const second = await start();
      try {
        expect(second.url).toBe(first.url);
        await connectedTimes(told, 2);
        expect(listener.mode).toBe("listening");
        await listener.stop();
      } finally {
        await second.stop();
      }
    } finally {
      await first.stop();
      await rm(directory, { recursive: true, force: true });
    }
  });
});

async function unusedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe("without a server", () => {
  it("start resolves, and attempts go on without end", async () => {
    const proxy = await proxyTo();
    const { listener, log } = listenerOn({
      connectionString: proxy.url(database.url),
      connectTimeoutMs: 10,
    });
    await listener.start();
    expect(listener.mode).toBe("polling");
    await eventually(() => proxy.accepted > 20);
    expect(
      log.filter(([, message]) => message.startsWith("the listener has no connection")).length,
    ).toBeGreaterThan(15);
    await eventually(() => proxy.open <= 1);
  });

  it("a refused connection and a database that is not there are tried again", async () => {
    const refused = new URL(database.url);
    refused.port = String(await unusedPort());
    const missing = new URL(database.url);
    missing.pathname = "/llmq_no_such_database";
    for (const url of [refused, missing]) {
      const { listener, log } = listenerOn({ connectionString: url.href });
      await listener.start();
      await eventually(() => log.length > 5);
      expect(listener.mode).toBe("polling");
      await listener.stop();
    }
  });
});

describe("stop", () => {
  /** Another listener with the same pauses makes so many attempts that a leftover of the first would show. */
  async function letOthersTry(): Promise<void> {
    const other = await proxyTo();
    const { listener } = listenerOn({ connectionString: other.url(database.url), connectTimeoutMs: 10 });
    await listener.start();
    await eventually(() => other.accepted > 5);
    await listener.stop();
  }

  const timersAndSockets = () =>
    process.getActiveResourcesInfo().filter((name) => name === "Timeout" || name.startsWith("TCPSocket"))
      .length;

  it("ends the session and is idempotent", async () => {
    const { listener, told } = listenerOn();
    await listener.start();
    await Promise.all([listener.stop(), listener.stop()]);
    await listener.stop();
    expect(listener.mode).toBe("polling");
    expect(told).toEqual(["listening", "connected", "polling"]);
    await eventually(async () => (await backends()).length === 0);
    await listener.start();
    expect(await backends()).toEqual([]);
  });

  it("before start nothing ever connects", async () => {
    const { listener, told } = listenerOn();
    await listener.stop();
    await listener.start();
    expect(told).toEqual([]);
    expect(await backends()).toEqual([]);
  });

  it("during a connection attempt that gets no answer leaves no socket, no timer and no later attempt", async () => {
    const proxy = await proxyTo();
    const before = timersAndSockets();
    const { listener } = listenerOn({ connectionString: proxy.url(database.url) });
    const started = listener.start();
    await eventually(() => proxy.open === 1);
    await listener.stop();
    await started;
    await eventually(() => proxy.open === 0);
    await eventually(() => timersAndSockets() <= before, { what: "the end of timers and sockets" });
    await letOthersTry();
    expect(proxy.accepted).toBe(1);
  });

  it("during the pause between two attempts ends the pause", async () => {
    const port = await unusedPort();
    const url = new URL(database.url);
    url.port = String(port);
    const { listener } = listenerOn({ connectionString: url.href, minRetryMs: 600_000, maxRetryMs: 600_000 });
    await listener.start();
    await listener.stop();
  });

  it("while it reconnects after a loss leaves nothing that connects later", async () => {
    const proxy = await proxyTo(database.url);
    const { listener, told } = listenerOn({ connectionString: proxy.url(database.url) });
    await listener.start();
    proxy.freeze();
    await proxy.close();
    await heard(told, "polling");
    await listener.stop();
    const connections = times(told, "connected");
    await letOthersTry();
    expect(times(told, "connected")).toBe(connections);
    await eventually(async () => (await backends()).length === 0);
  });

  it("of a half-open connection does not wait for the other side", async () => {
    const proxy = await proxyTo(database.url);
    const { listener } = listenerOn({ connectionString: proxy.url(database.url) });
    await listener.start();
    proxy.freeze();
    await listener.stop();
    await eventually(() => proxy.open === 0);
  });

  it("during a health check that gets no answer is not held up by it", async () => {
    const proxy = await proxyTo(database.url);
    const { listener, told } = listenerOn({
      connectionString: proxy.url(database.url),
      healthCheckMs: 1,
      queryTimeoutMs: 600_000,
    });
    await listener.start();
    proxy.freeze();
    await notify("llmq_test", "never heard");
    await listener.stop();
    expect(told).not.toContain("llmq_test=never heard");
  });

  it("ends what waits for listen", async () => {
    const proxy = await proxyTo(database.url);
    const { listener } = listenerOn({ connectionString: proxy.url(database.url), queryTimeoutMs: 600_000 });
    await listener.start();
    proxy.freeze();
    const waiting = listener.listen("later");
    await listener.stop();
    await waiting;
  });
});
