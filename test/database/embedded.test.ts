import { spawn } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startEmbeddedPostgres } from "../../src/database/embedded.ts";
import { exists } from "../../src/database/embedded-cluster.ts";
import { isAlive } from "../../src/database/embedded-process.ts";
import { readPostmaster } from "../../src/database/embedded-server.ts";
import { eventually } from "../support/eventually.ts";

const asRoot = process.getuid?.() === 0;
let base: string;
let dataDir: string;
let warnings: string[];

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), "llmq-embedded-"));
  await chmod(base, 0o755);
  dataDir = join(base, "postgres");
  warnings = [];
});
afterEach(async () => {
  const outside = await realpath(dataDir).catch(() => dataDir);
  const postmaster = await readPostmaster(join(outside, "data"));
  if (postmaster) process.kill(postmaster.pid, "SIGQUIT");
  await rm(base, { recursive: true, force: true });
  if (outside !== dataDir) await rm(outside, { recursive: true, force: true });
});

const log = {
  debug: () => {},
  info: () => {},
  warn: (_fields: object, message: string) => void warnings.push(message),
};
const start = (options: Partial<Parameters<typeof startEmbeddedPostgres>[0]> = {}) =>
  startEmbeddedPostgres({ dataDir, log, fsync: false, ...options });

async function query<Row extends pg.QueryResultRow>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

async function postmasterPid(): Promise<number> {
  const postmaster = await readPostmaster(join(dataDir, "data"));
  if (!postmaster) throw new Error("no server runs");
  return postmaster.pid;
}

/** Another process that starts the embedded server and waits; says its own pid and the server's once ready. */
async function startInAnotherProcess() {
  const script = fileURLToPath(new URL("../support/hold-embedded.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", script, dataDir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise<void>((resolve) => child.on("exit", () => resolve()));
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === "ready") break;
  }
  return { kill: () => child.kill("SIGKILL"), exited };
}

describe("the embedded server", () => {
  test("starts with pgmq, a password and a local address only, and goes on with its data", async () => {
    const first = await start();
    const [settings] = await query<Record<string, string>>(
      first.url,
      `select current_database() as database, current_setting('server_encoding') as encoding,
         current_setting('listen_addresses') as addresses, current_setting('unix_socket_directories') as sockets`,
    );
    expect(settings).toEqual({ database: "llmq", encoding: "UTF8", addresses: "127.0.0.1", sockets: "" });
    expect(first).toMatchObject({ started: true, hasPgmq: true });
    await query(first.url, "select pgmq.create('kept')");
    await expect(query(first.url.replace(/:[^:@]+@/, ":wrong@"), "select")).rejects.toThrow(/password/);
    const pid = await postmasterPid();
    await first.stop();
    expect(isAlive(pid)).toBe(false);

    const second = await start();
    expect(new URL(second.url).port).toBe(new URL(first.url).port);
    expect(await query(second.url, "select queue_name from pgmq.meta")).toEqual([{ queue_name: "kept" }]);
    await second.stop();
  });

  test("keeps its password where nobody else can read it", async () => {
    const server = await start();
    const mode = (await stat(join(dataDir, "data", "llmq_password"))).mode & 0o777;
    expect(mode).toBe(0o600);
    expect(server.url).toContain((await readFile(join(dataDir, "data", "llmq_password"), "utf8")).trim());
    await server.stop();
  });

  test("is joined by a second start and stops with its last user", async () => {
    const first = await start();
    const second = await start();
    expect([first.started, second.started, second.url === first.url]).toEqual([true, false, true]);
    await first.stop();
    await first.stop();
    expect(await query(second.url, "select 1 as one")).toEqual([{ one: 1 }]);
    const pid = await postmasterPid();
    await second.stop();
    expect(isAlive(pid)).toBe(false);
  });

  test("comes up once when several start it at the same moment on an empty directory", async () => {
    const servers = await Promise.all([start(), start(), start(), start()]);
    expect(new Set(servers.map((server) => server.url)).size).toBe(1);
    await Promise.all(servers.map((server) => server.stop()));
    expect(await readPostmaster(join(dataDir, "data"))).toBeUndefined();
  });

  test("who leaves it ends no server that another has started meanwhile", async () => {
    let leaving = await start();
    for (const headStartMs of [0, 4, 8, 12, 16]) {
      const next = start();
      await setTimeout(headStartMs);
      const [, joined] = await Promise.all([leaving.stop(), next]);
      expect(await query(joined.url, "select 1 as one")).toEqual([{ one: 1 }]);
      leaving = joined;
    }
    await leaving.stop();
  });

  test("recovers after it was killed", async () => {
    const first = await start();
    await query(first.url, "create table survivors as select 7 as n");
    const pid = await postmasterPid();
    process.kill(pid, "SIGKILL");
    await eventually(() => !isAlive(pid));
    const second = await start();
    expect(await query(second.url, "select n from survivors")).toEqual([{ n: 7 }]);
    await first.stop();
    await second.stop();
  });

  test("starts although the pid of its crashed predecessor belongs to another program now", async () => {
    const first = await start();
    await first.stop();
    const pidFile = join(dataDir, "data", "postmaster.pid");
    await writeFile(pidFile, `${process.pid}\n${join(dataDir, "data")}\n1\n1\n\n127.0.0.1\n\n`);
    const second = await start();
    expect(await query(second.url, "select 1 as one")).toEqual([{ one: 1 }]);
    await second.stop();
  });

  test("takes another port when its old one is in use", async () => {
    const first = await start();
    await first.stop();
    const other = await startEmbeddedPostgres({
      dataDir: join(base, "other"),
      log,
      fsync: false,
      port: Number(new URL(first.url).port),
    });
    const second = await start();
    expect(new URL(second.url).port).not.toBe(new URL(other.url).port);
    await Promise.all([second.stop(), other.stop()]);
  });

  test("does not outlive a process that was killed with it", async () => {
    const holder = await startInAnotherProcess();
    const pid = await postmasterPid();
    holder.kill();
    await holder.exited;
    await eventually(() => !isAlive(pid), { what: "the end of the server" });
  });

  test("stays for those who still use it when the process that started it is killed", async () => {
    const holder = await startInAnotherProcess();
    const joined = await start();
    expect(joined.started).toBe(false);
    holder.kill();
    await holder.exited;
    const again = await start();
    expect(again.started).toBe(false);
    await again.stop();
    expect(await query(joined.url, "select 1 as one")).toEqual([{ one: 1 }]);
    await joined.stop();
  });
});

describe("what cannot work is said", () => {
  test("data of another major version", async () => {
    await (await start()).stop();
    await writeFile(join(dataDir, "data", "PG_VERSION"), "12\n");
    await expect(start()).rejects.toMatchObject({
      code: "unusable_data",
      message: expect.stringContaining("PostgreSQL 12"),
    });
  });

  test("programs that do not run on this machine", async () => {
    const fake = join(base, "native", "bin");
    await mkdir(fake, { recursive: true });
    await writeFile(join(fake, "postgres"), "#!/bin/sh\necho libfoo.so not found >&2\nexit 127\n", {
      mode: 0o755,
    });
    await expect(start({ binaries: dirname(fake) })).rejects.toMatchObject({
      code: "unusable_binaries",
      message: expect.stringContaining("libfoo.so not found"),
    });
  });

  test("a setting the server refuses, with its own words", async () => {
    await expect(start({ settings: { shared_buffers: "lots" } })).rejects.toMatchObject({
      code: "start_failed",
      message: expect.stringContaining("shared_buffers"),
    });
    expect(await readPostmaster(join(dataDir, "data"))).toBeUndefined();
  });
});

describe.runIf(asRoot)("as root", () => {
  test("keeps the data elsewhere when the server's user cannot enter the directory", async () => {
    await chmod(base, 0o700);
    const first = await start();
    const real = await realpath(dataDir);
    expect(real).toMatch(/^\/var\/lib\/llmq\/postgres-/);
    await query(first.url, "create table here as select 1 as n");
    await first.stop();
    const second = await start();
    expect(await query(second.url, "select n from here")).toEqual([{ n: 1 }]);
    await second.stop({ removeData: true });
    expect(await Promise.all([real, dataDir].map((path) => exists(path)))).toEqual([false, false]);
  });

  test("runs programs that its user cannot read from a copy", async () => {
    const closed = join(base, "closed");
    await mkdir(closed, { mode: 0o700 });
    const server = await start();
    const [row] = await query<{ path: string }>(
      server.url,
      "select setting as path from pg_config where name = 'BINDIR'",
    );
    await server.stop();
    const native = join(closed, "package", "native");
    await cp(dirname(row?.path ?? ""), native, { recursive: true, verbatimSymlinks: true });
    await writeFile(join(closed, "package", "package.json"), `{"name":"${base}"}`);
    const copied = await start({ binaries: native });
    const [where] = await query<{ path: string }>(
      copied.url,
      "select setting as path from pg_config where name = 'BINDIR'",
    );
    await copied.stop();
    expect(where?.path).toMatch(/^\/var\/lib\/llmq\/binaries-/);
    await rm(dirname(where?.path ?? "/nonexistent/x"), { recursive: true });
  });
});
