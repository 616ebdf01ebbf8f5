/** What the pages say is run: their SQL, and the page that is made from the catalog. */
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { PgBoss } from "pg-boss";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { namesCreatedIn, readRoutines } from "../scripts/sql-reference.ts";
import { sqlReferencePage, unexplainedParameters } from "../scripts/sql-reference-page.ts";
import { root } from "../scripts/sql-sources.ts";
import { createTestDatabase, type TestDatabase } from "./support/database.ts";
import { eventually } from "./support/eventually.ts";
import { startService } from "./support/service.ts";
import { runLikePsql, type Snippet, snippetsOf } from "./support/snippets.ts";

const PAGES = [
  "README.md",
  ...(await readdir(`${root}docs`)).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`),
];
/** What a page takes for granted. */
const BEFORE: Record<string, (database: TestDatabase) => Promise<void>> = {
  "docs/migrate-from-pg-boss.md": sendToPgBoss,
};
const read = (path: string) => readFile(`${root}${path}`, "utf8");

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

/** SQL, and what it prints, of each page. */
const blocks = new Map(
  await Promise.all(
    PAGES.map(async (page) => {
      const isRun = ({ language, notRun }: Snippet) => notRun === null && ["sql", "text"].includes(language);
      return [page, snippetsOf(await read(page)).filter(isRun)] as const;
    }),
  ),
);

describe("every SQL block runs, and gives what the block below it says", () => {
  test.for([...blocks].filter(([, found]) => found.length > 0))("%s", async ([page, found]) => {
    const service = await startService();
    try {
      await BEFORE[page]?.(service.database);
      const client = await service.database.connect();
      // As in everybody's psql; tables of the pages' own are theirs, without a schema.
      await client.query("set search_path = public");
      const variables = new Map<string, string>();
      let output = "";
      const needPgmq = new Set(
        found.filter((one) => /pgmq[.(]|external/.test(one.code)).map((one) => one.section),
      );
      for (const { language, code, line, section, repeated } of found) {
        if (!service.database.hasPgmq && needPgmq.has(section)) continue;
        if (language === "text") {
          expect(output, `${page}, line ${line}`).toBe(code);
          continue;
        }
        const runBlock = () => runLikePsql(client, code, variables);
        output = await (repeated ? eventually(runBlock) : runBlock()).catch((error: unknown) => {
          throw new Error(`${page}, line ${line}: ${error instanceof Error ? error.message : error}`, {
            cause: error,
          });
        });
      }
    } finally {
      await service.stop();
    }
  });
});

test("what docs/sizing.md calls measured stands in bench/RESULTS.md", async () => {
  const results = await read("bench/RESULTS.md");
  const figures = [...(await read("docs/sizing.md")).matchAll(/\*\*([\d,.]+ ?\S+)\*\*/g)].map(
    (match) => match[1] ?? "",
  );
  expect(figures.length).toBeGreaterThan(5);
  expect(
    figures.filter((figure) => !results.includes(`| ${figure} `) && !results.includes(` ${figure} |`)),
  ).toEqual([]);
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

/** A queue of pg-boss with jobs that wait, one of them for tomorrow, and one that runs. */
async function sendToPgBoss(database: TestDatabase): Promise<void> {
  const boss = new PgBoss({ connectionString: database.url, supervise: false, schedule: false });
  await boss.start();
  try {
    await boss.createQueue("summaries");
    const job = (content: string) => ({ agent: "support", messages: [{ role: "user", content }] });
    await boss.send("summaries", job("It runs already"));
    await boss.fetch("summaries");
    await boss.send("summaries", job("Summarise ticket 7"), { priority: 500 });
    await boss.send("summaries", job("Summarise ticket 8"), { startAfter: 86_400, singletonKey: "ticket 8" });
  } finally {
    await boss.stop({ graceful: false });
  }
}
