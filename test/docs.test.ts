/** What the pages say is run: their SQL, the examples, and the page that is made from the catalog. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { namesCreatedIn, readRoutines } from "../scripts/sql-reference.ts";
import { sqlReferencePage, unexplainedParameters } from "../scripts/sql-reference-page.ts";
import { root } from "../scripts/sql-sources.ts";
import { createSchemaValidator } from "../src/answer/schema-validator.ts";
import { createOrchestrator, type Orchestrator } from "../src/orchestrator/orchestrator.ts";
import { createProviders } from "../src/providers/registry.ts";
import { createSharedQueueLoop, type SharedQueueLoop } from "../src/shared-queues/shared-queue-loop.ts";
import { createTestDatabase, type TestDatabase } from "./support/database.ts";
import { runLikePsql, snippetsOf } from "./support/snippets.ts";

const run = promisify(execFile);
const PAGES = [
  "README.md",
  "docs/design.md",
  "docs/limits.md",
  "docs/operations.md",
  "docs/providers.md",
  "docs/sql-api.md",
  "docs/state-machine.md",
];
const EXAMPLES = {
  sql: "examples/psql/first_request.sql",
  python: "examples/python/first_request.py",
  elixir: "examples/elixir/first_request.exs",
  go: "examples/go/first_request.go",
  ts: "examples/typescript/first-request.ts",
};
const read = (path: string) => readFile(`${root}${path}`, "utf8");

type Service = { database: TestDatabase; stop(): Promise<void> };

/** A database with one simulated model for everything, which calls the tools it is offered, and an orchestrator. */
async function startService(): Promise<Service> {
  const database = await createTestDatabase();
  await database.query(`
    select llmq.configure_provider('house-sim', 'sim');
    select llmq.configure_model('house-sim', 'house-sim', options => '{"sim": {"call_tools": true}}');
    select llmq.configure_route('*', array['house-sim']);`);
  const logger = pino({ level: "silent" });
  const pool = database.pool({ max: 4 });
  const orchestrator: Orchestrator = createOrchestrator({
    pool,
    providers: createProviders({ env: {} }),
    logger,
    listenUrl: null,
    pollIntervalMs: 10,
    batchSize: 50,
    concurrency: 100,
    heartbeatIntervalMs: 5_000,
    retentionDays: 90,
  });
  const sharedQueues: SharedQueueLoop = createSharedQueueLoop({
    pool,
    validator: createSchemaValidator(),
    logger,
    pollIntervalMs: 10,
  });
  await orchestrator.start();
  sharedQueues.start();
  return {
    database,
    stop: async () => {
      await Promise.all([orchestrator.stop(0), sharedQueues.stop()]);
      await database.drop();
    },
  };
}

describe("the SQL reference", () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  test("the committed page is what the catalog gives now", async () => {
    const page = await sqlReferencePage(await database.connect());
    expect(page, "docs/sql-api.md is not current: npm run docs").toBe(await read("docs/sql-api.md"));
  });

  test("every parameter of a function that others call is explained", async () => {
    const routines = await readRoutines(await database.connect());
    const folders = await Promise.all(["client", "worker", "operator"].map(namesCreatedIn));
    const unexplained = folders.flat().flatMap((name) => {
      const routine = routines.get(name);
      return routine === undefined
        ? []
        : unexplainedParameters(routine).map((parameter) => `${name}.${parameter}`);
    });
    expect(unexplained).toEqual([]);
  });

  test("every setting is in the table of docs/operations.md", async () => {
    const rows = await database.query<{ name: string }>("select name from llmq.settings order by name");
    const page = await read("docs/operations.md");
    const missing = rows.filter(({ name }) => !page.includes(`| \`${name}\` |`)).map(({ name }) => name);
    expect(missing).toEqual([]);
  });
});

describe("every SQL block runs", () => {
  for (const page of ["README.md", "docs/operations.md", "docs/providers.md"]) {
    test(page, async () => {
      const service = await startService();
      try {
        const client = await service.database.connect();
        const variables = new Map<string, string>();
        for (const { language, code, line, notRun } of snippetsOf(await read(page))) {
          if (language !== "sql" || notRun !== null) continue;
          if (!service.database.hasPgmq && /pgmq|external|request_id'/.test(code)) continue;
          await runLikePsql(client, code, variables).catch((error: unknown) => {
            throw new Error(`${page}, line ${line}: ${error instanceof Error ? error.message : error}`, {
              cause: error,
            });
          });
        }
      } finally {
        await service.stop();
      }
    });
  }
});

describe("the examples", () => {
  let service: Service;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());
  const environment = () => ({ ...process.env, DATABASE_URL: service.database.url });

  test.for(Object.entries(EXAMPLES))(
    "the README's first request in %s is in %s",
    async ([language, path]) => {
      const readme = await read("README.md");
      const first = readme.slice(readme.indexOf("## Your first request"));
      const snippet = snippetsOf(first).find((one) => one.language === language);
      const linesOf = (text = "") =>
        text
          .split("\n")
          .map((line) => line.trim())
          .filter((line) => line !== "");
      const left = linesOf(await read(path));
      const missing = linesOf(snippet?.code ?? "no such block").filter((line) => {
        const at = left.indexOf(line);
        if (at >= 0) left.splice(0, at + 1);
        return at < 0;
      });
      expect(missing).toEqual([]);
      expect(readme).toContain(`(${path})`);
    },
  );

  test("psql", async ({ skip }) => {
    if (!(await runs("psql", ["--version"]))) skip("psql is not installed");
    const { stdout } = await run("psql", ["-X", service.database.url, "-f", `${root}${EXAMPLES.sql}`]);
    expect(stdout).toContain('completed | {"summary": "sim"}');
  });

  test("Python", async ({ skip }) => {
    if (!(await runs("/usr/bin/python3", ["-c", "import psycopg"]))) skip("psycopg 3 is not installed");
    const { stdout } = await run("/usr/bin/python3", [`${root}${EXAMPLES.python}`], { env: environment() });
    expect(stdout.trim()).toBe("completed You said: Summarise ticket 7: ...");
  });

  test("TypeScript", async () => {
    const directory = await mkdtemp(join(tmpdir(), "llmq-example-"));
    try {
      const file = join(directory, "first-request.mts");
      const source = await read(EXAMPLES.ts);
      await writeFile(
        file,
        source.replace('"llmq"', JSON.stringify(pathToFileURL(`${root}src/index.ts`).href)),
      );
      const tsx = [`${root}node_modules/tsx/dist/cli.mjs`, file];
      const { stdout } = await run(process.execPath, tsx, { env: environment() });
      expect(stdout.trim()).toBe("You said: Summarise ticket 7: ...");
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});

describe("links", () => {
  test.for(PAGES)("those of %s lead somewhere", async (page) => {
    const text = await read(page);
    const broken: string[] = [];
    for (const [, target = ""] of text
      .replaceAll(/```[\s\S]*?```/g, "")
      .matchAll(/\]\((?!https?:)([^)\s]*)\)/g)) {
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : normalize(join(dirname(page), path));
      const content = await read(file).catch(async () =>
        (await readdir(`${root}${file}`).catch(() => null)) ? "" : null,
      );
      if (content === null || (anchor !== undefined && !anchorsOf(content).includes(anchor)))
        broken.push(target);
    }
    expect(broken).toEqual([]);
  });
});

function anchorsOf(markdown: string): string[] {
  const headings = [...markdown.matchAll(/^#+ (.*)$/gm)].map((match) => match[1] ?? "");
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, "")
      .replaceAll(" ", "-"),
  );
}

function runs(command: string, args: string[]): Promise<boolean> {
  return run(command, args).then(
    () => true,
    () => false,
  );
}
