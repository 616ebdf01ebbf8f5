import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAnswerChecker } from "../../src/answer/answer-checker.ts";
import { createPool } from "../../src/database/pool.ts";
import { createOrchestrator } from "../../src/orchestrator/orchestrator.ts";
import { createProviders } from "../../src/providers/registry.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";

/** Debian puts it where ordinary users' PATH does not reach. */
function findPgbouncer(): string | null {
  for (const candidate of ["pgbouncer", "/usr/sbin/pgbouncer"]) {
    try {
      execFileSync(candidate, ["--version"], { stdio: "ignore" });
      return candidate;
    } catch {}
  }
  return null;
}

const pgbouncer = findPgbouncer();

describe.skipIf(pgbouncer === null)(
  "through PgBouncer in transaction mode (skipped where it is not installed)",
  () => {
    let database: TestDatabase;
    let directory: string;
    let bouncer: ChildProcess;
    let pooledUrl: string;

    beforeAll(async () => {
      database = await createTestDatabase();
      directory = await mkdtemp(join(tmpdir(), "llmq-pgbouncer-"));
      const port = await freePort();
      const target = new URL(database.url);
      await writeFile(
        join(directory, "pgbouncer.ini"),
        [
          "[databases]",
          `llmq = host=${target.hostname} port=${target.port || 5432} dbname=${target.pathname.slice(1)} user=${target.username} password=${decodeURIComponent(target.password)}`,
          "[pgbouncer]",
          "listen_addr = 127.0.0.1",
          `listen_port = ${port}`,
          "unix_socket_dir =",
          "auth_type = any",
          "pool_mode = transaction",
          "default_pool_size = 3",
          "ignore_startup_parameters = extra_float_digits,options",
        ].join("\n"),
      );
      await chmod(directory, 0o755);
      await chmod(join(directory, "pgbouncer.ini"), 0o644);
      const asUser = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
      bouncer = spawn(pgbouncer as string, [...asUser, join(directory, "pgbouncer.ini")], {
        stdio: "ignore",
      });
      pooledUrl = `postgres://anybody@127.0.0.1:${port}/llmq`;
      await eventually(async () => {
        const client = new pg.Client({ connectionString: pooledUrl });
        await client.connect();
        await client.end();
        return true;
      });
    });

    afterAll(async () => {
      if (bouncer.exitCode === null) {
        bouncer.kill("SIGKILL");
        await once(bouncer, "exit");
      }
      await database.drop();
      await rm(directory, { recursive: true, force: true });
    });

    test("an orchestrator whose pool goes through it, with a listener of its own, completes requests", async () => {
      await database.query(`
      select llmq.configure_provider('sim', 'sim');
      select llmq.configure_model('m', 'sim');
      select llmq.configure_route('*', array['m']);
    `);
      const logger = pino({ level: "silent" });
      const pool = createPool({ connectionString: pooledUrl, max: 8, applicationName: "test", logger });
      const providers = createProviders({ env: {} });
      const orchestrator = createOrchestrator({
        pool,
        checker: createAnswerChecker(),
        providers,
        logger,
        listenUrl: database.url,
        pollIntervalMs: 100,
        batchSize: 5,
        concurrency: 50,
        heartbeatIntervalMs: 5_000,
        retentionDays: 90,
      });
      await orchestrator.start();
      await Promise.all(
        Array.from({ length: 60 }, () =>
          pool.query(`select llmq.submit_llm_request('a', 't', '[{"role": "user", "content": "hello"}]')`),
        ),
      );
      await eventually(async () => {
        const [row] = await database.query(
          "select count(*)::int as n from llmq.results where status = 'completed'",
        );
        return row?.n === 60;
      });
      expect(orchestrator.stats().listenerMode).toBe("listening");
      await orchestrator.stop();
      await providers.close();
      await pool.end();
    });
  },
);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
