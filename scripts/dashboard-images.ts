/**
 * `tsx scripts/dashboard-images.ts [minutes] [chromium]`: docs/images, of a real orchestrator with simulated models
 * on an embedded Postgres, after so many minutes (5) of traffic.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Browser, chromium, type Page } from "playwright-core";
import { readConfig } from "../src/config.ts";
import { startEmbeddedPostgres } from "../src/database/embedded.ts";
import { migrate } from "../src/database/migrate.ts";
import { createPool } from "../src/database/pool.ts";
import { createLogger } from "../src/logger.ts";
import { createService } from "../src/service.ts";
import { configureTraffic, feed } from "./dashboard-traffic.ts";
import { root } from "./sql-sources.ts";

const [minutes = "5", executablePath = "/usr/bin/chromium"] = process.argv.slice(2);
const IMAGES = `${root}docs/images/`;
const WIDE = { width: 1280, height: 780 };
const PHONE = { width: 360, height: 720 };

type Shot = {
  name: string;
  path: string;
  viewport: { width: number; height: number };
  colorScheme: "light" | "dark";
  prepare?: (page: Page) => Promise<void>;
};

const byModel = async (page: Page) => page.getByLabel("By model").check();

function shots(refused: string, turns: string): Shot[] {
  return [
    { name: "overview-light", path: "/", viewport: WIDE, colorScheme: "light" },
    { name: "overview-dark", path: "/", viewport: WIDE, colorScheme: "dark", prepare: byModel },
    { name: "overview-phone", path: "/", viewport: PHONE, colorScheme: "dark" },
    {
      name: "requests-light",
      path: "/requests?status=failed",
      viewport: { width: 1280, height: 560 },
      colorScheme: "light",
    },
    { name: "requests-phone", path: "/requests", viewport: PHONE, colorScheme: "light" },
    {
      name: "request-light",
      path: `/requests/${refused}`,
      viewport: { width: 1280, height: 1000 },
      colorScheme: "light",
    },
    {
      name: "request-dark",
      path: `/requests/${turns}`,
      viewport: { width: 1280, height: 900 },
      colorScheme: "dark",
    },
    { name: "models-light", path: "/models", viewport: { width: 1280, height: 560 }, colorScheme: "light" },
    { name: "agents-dark", path: "/agents", viewport: { width: 1280, height: 420 }, colorScheme: "dark" },
  ];
}

async function take(
  browser: Browser,
  url: string,
  { name, path, viewport, colorScheme, prepare }: Shot,
): Promise<void> {
  const context = await browser.newContext({ viewport, colorScheme });
  const page = await context.newPage();
  await page.goto(url + path);
  await page.getByRole("button", { name: "Live" }).waitFor();
  await page.locator(".panel, tbody tr").first().waitFor();
  await prepare?.(page);
  await sleep(1_500);
  await page.screenshot({ path: `${IMAGES}${name}.png` });
  await context.close();
}

const directory = await mkdtemp(join(tmpdir(), "llmq-images-"));
const logger = createLogger({ level: "fatal" });
const server = await startEmbeddedPostgres({ dataDir: directory, log: logger });
const config = readConfig({ LLMQ_HTTP_PORT: "0" });
await migrate({ connectionString: server.url, log: logger });
const pool = createPool({ connectionString: server.url, max: 4, applicationName: "traffic" });
const service = createService({
  config,
  env: {},
  databaseUrl: server.url,
  listenUrl: server.url,
  logger,
  version: "0.1.0",
});
const stop = new AbortController();
const browser = await chromium.launch({
  executablePath,
  args: ["--headless", "--no-sandbox", "--disable-gpu"],
});
try {
  await configureTraffic(pool);
  await service.start();
  const traffic = feed(pool, stop.signal);
  const url = service.httpUrl ?? "";
  // What waits and runs is known while somebody looks.
  const watcher = await browser.newPage();
  await watcher.goto(url);
  await sleep(Number(minutes) * 60_000);
  const idOf = async (condition: string) =>
    (
      await pool.query<{ id: string }>(
        `select id from llmq.llm_requests where ${condition} order by id desc limit 1`,
      )
    ).rows[0]?.id ?? "";
  const refused = await idOf("status = 'failed' and jsonb_array_length(validation_errors) > 1");
  const turns = await idOf("agent_id = 'research' and status = 'completed' and parent_id is not null");
  for (const shot of shots(refused, turns)) await take(browser, url, shot);
  stop.abort();
  await traffic;
} finally {
  stop.abort();
  await browser.close();
  await service.stop(0);
  await pool.end();
  await server.stop({ removeData: true });
  await rm(directory, { recursive: true, force: true });
}
