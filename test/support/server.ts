import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchPostgres } from "../../scripts/fetch-postgres.ts";
import { startEmbeddedPostgres } from "../../src/database/embedded.ts";

export type RunningServer = { url: string; stop(): Promise<void> };

/**
 * The server of a test run: `TEST_DATABASE_URL` if set (a role that may create databases), else a container if
 * `LLMQ_TEST_DB=container`, else the embedded one, of the major version `LLMQ_TEST_PG` if set. The embedded one
 * runs without fsync: a test never needs its data after a crash of the machine.
 */
export async function startServer(environment: NodeJS.ProcessEnv): Promise<RunningServer> {
  if (environment.TEST_DATABASE_URL) {
    return { url: environment.TEST_DATABASE_URL, stop: async () => undefined };
  }
  if (environment.LLMQ_TEST_DB === "container") return await startContainer(environment.LLMQ_TEST_PG ?? "18");
  return await startEmbedded(environment.LLMQ_TEST_PG);
}

async function startEmbedded(major: string | undefined): Promise<RunningServer> {
  const directory = await mkdtemp(join(tmpdir(), "llmq-test-"));
  // Run by root, the server is somebody else and has to get in.
  await chmod(directory, 0o755);
  const server = await startEmbeddedPostgres({
    dataDir: join(directory, "postgres"),
    log: { debug: () => {}, info: () => {}, warn: console.warn },
    fsync: false,
    settings: { max_connections: "400", max_locks_per_transaction: "256", max_prepared_transactions: "2" },
    ...(major && major !== "18" && { binaries: await fetchPostgres(Number(major)) }),
  });
  const stop = async () => {
    await server.stop({ removeData: true });
    await rm(directory, { recursive: true, force: true });
  };
  return { url: server.url, stop };
}

async function startContainer(major: string): Promise<RunningServer> {
  const { PostgreSqlContainer } = await import("@testcontainers/postgresql");
  try {
    const container = await new PostgreSqlContainer(`postgres:${major}`)
      .withCommand(["postgres", "-c", "fsync=off", "-c", "max_connections=400"])
      .start();
    return {
      url: container.getConnectionUri(),
      stop: async () => {
        await container.stop();
      },
    };
  } catch (cause) {
    throw new Error(
      "LLMQ_TEST_DB=container, and no container could be started: start Docker or Podman, or leave the variable " +
        "out for the embedded server",
      { cause },
    );
  }
}
