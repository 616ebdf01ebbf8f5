import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, realpath, rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Binaries } from "./embedded-binaries.ts";
import { type Account, commandLine, isAlive, run } from "./embedded-process.ts";

/** What `postmaster.pid` says. `port` is missing in the first moments of a start. */
export type Postmaster = { pid: number; port: number | undefined };

/** Reads `postmaster.pid` of a cluster; undefined when no living process stands behind it. */
export async function readPostmaster(data: string): Promise<Postmaster | undefined> {
  const text = await readFile(join(data, "postmaster.pid"), "utf8").catch(() => "");
  const lines = text.split("\n");
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
  return { pid, port: Number(lines[3]) || undefined };
}

/**
 * After a crash the pid in `postmaster.pid` may belong to some other program by now (in a container it does so
 * often). PostgreSQL would refuse to start for that; it still checks the shared memory itself.
 *
 * @returns whether the file was stale and is gone.
 */
export async function removeStalePid(data: string, pid: number): Promise<boolean> {
  const command = commandLine(pid);
  if (command === undefined || /postgres|postmaster/.test(command)) return false;
  await unlink(join(data, "postmaster.pid")).catch(() => undefined);
  return true;
}

/** Ends a query that a broken server would never answer. */
const limits = { connectionTimeoutMillis: 5_000, query_timeout: 60_000 };

/** Runs `work` on a connection of its own. */
export async function withConnection<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, ...limits });
  // Without a listener a server that goes away ends the process; the query under way is rejected as well.
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The version of the server at `url` when it serves the cluster in `data`; otherwise why not. */
export async function identify(
  url: string,
  data: string,
): Promise<{ kind: "ours"; version: string } | { kind: "other"; reason: string }> {
  try {
    return await withConnection(url, async (client) => {
      const { rows } = await client.query<{ data: string; version: string }>(
        "select current_setting('data_directory') as data, current_setting('server_version') as version",
      );
      const row = rows[0];
      return row && (await realpath(row.data)) === (await realpath(data))
        ? { kind: "ours", version: row.version }
        : { kind: "other", reason: "another server answers on its port" };
    });
  } catch (error) {
    return { kind: "other", reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Starts the server with pg_ctl and waits until it takes connections; the answer is pg_ctl's own. */
export async function startServer(binaries: Binaries, data: string, account: Account) {
  const log = join(data, "server.log");
  const size = await stat(log).then(
    (found) => found.size,
    () => 0,
  );
  if (size > 10_000_000) await rename(log, `${log}.1`);
  // --silent: otherwise it prints a dot a second.
  const args = ["start", "--silent", "--wait", "--timeout=90", "-D", data, "-l", log];
  const { code, output } = await run(join(binaries.directory, "bin", "pg_ctl"), args, account);
  if (code === 0) return { kind: "started" as const };
  const tail = (await readFile(log, "utf8").catch(() => "")).slice(size > 10_000_000 ? 0 : size);
  return { kind: "failed" as const, reason: `${output}${tail}`.trim() };
}

const STOP_MS = 60_000;

/**
 * Fast shutdown: open transactions are rolled back, everything is written, then it ends. By process number:
 * `pg_ctl stop` follows `postmaster.pid`, which is that of the next server when another process starts one.
 */
export async function stopServer(binaries: Binaries, data: string, account: Account): Promise<void> {
  const postmaster = await readPostmaster(data);
  if (!postmaster) return;
  const program = join(binaries.directory, "bin", "pg_ctl");
  for (const signal of ["INT", "QUIT"]) {
    await run(program, ["kill", signal, String(postmaster.pid)], account);
    const deadline = performance.now() + STOP_MS;
    while (isAlive(postmaster.pid) && performance.now() < deadline) await sleep(10);
    if (!isAlive(postmaster.pid)) return;
  }
}

/** The wanted port, or else any free one, on 127.0.0.1. */
export async function freePort(wanted: number | undefined): Promise<number> {
  for (const port of [wanted ?? 0, 0]) {
    const found = await new Promise<number | undefined>((resolve) => {
      const server = createServer();
      server.on("error", () => resolve(undefined));
      server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
        const address = server.address();
        server.close(() => resolve(typeof address === "object" ? address?.port : undefined));
      });
    });
    if (found) return found;
  }
  throw new Error("no free port on 127.0.0.1");
}

/** One user of a running server: the last one to leave stops it. */
export type Lease = {
  /** Gives the lease back. True when nobody else holds one. */
  release(): Promise<boolean>;
};

/**
 * Says in `<directory>/users` that this process uses the server, and starts a shell that waits for this
 * process to end without saying so (kill -9, crash, process.exit). It then stops the server if no other user
 * is left, so nothing stays behind. The shell sleeps on a pipe and costs nothing; Windows has none.
 */
export async function takeLease(directory: string): Promise<Lease> {
  const users = join(directory, "users");
  await mkdir(users, { recursive: true });
  const mine = `${process.pid}-${randomUUID()}`;
  await writeFile(join(users, mine), "");
  const watcher = process.platform === "win32" ? undefined : startWatcher(directory, mine);
  let released: Promise<boolean> | undefined;
  const release = async () => {
    await rm(join(users, mine), { force: true });
    watcher?.stdin.end("released\n");
    const others = await readdir(users).catch(() => []);
    const alive = others.filter((name) => isAlive(Number(name.split("-")[0])));
    await Promise.all(
      others.filter((name) => !alive.includes(name)).map((name) => rm(join(users, name), { force: true })),
    );
    return alive.length === 0;
  };
  return { release: () => (released ??= release()) };
}

const watcherScript = `
read -r word
[ "$word" = released ] && exit 0
cd "$1" || exit 0
rm -f "users/$2"
for user in users/*; do
  pid=\${user#users/}
  kill -0 "\${pid%%-*}" 2>/dev/null && exit 0
done
read -r postmaster < data/postmaster.pid && kill -INT "$postmaster"
`;

function startWatcher(directory: string, lease: string) {
  const child = spawn("/bin/sh", ["-c", watcherScript, "llmq-postgres-watcher", directory, lease], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.on("error", () => undefined);
  child.stdin.on("error", () => undefined);
  child.unref();
  if ("unref" in child.stdin && typeof child.stdin.unref === "function") child.stdin.unref();
  return child;
}
