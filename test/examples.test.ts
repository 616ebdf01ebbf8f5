/** The programs in examples/ are run, where their runtimes are; elsewhere they are skipped, with what is missing. */
import { execFile } from "node:child_process";
import { access, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "../scripts/sql-sources.ts";
import { type Service, startService } from "./support/service.ts";
import { snippetsOf } from "./support/snippets.ts";

const run = promisify(execFile);
const EXAMPLES = {
  sql: "examples/psql/first_request.sql",
  python: "examples/python/first_request.py",
  elixir: "examples/elixir/first_request.exs",
  go: "examples/go/first_request.go",
  ts: "examples/typescript/first-request.ts",
};
/** Not shown in the README. */
const MORE = { ruby: "examples/ruby/first_request.rb", php: "examples/php/first_request.php" };
const ANSWER = "You said: Summarise ticket 7: ...";
/** Where Debian's packages of Go libraries put their sources. */
const GO_PATH = "/usr/share/gocode";
const read = (path: string) => readFile(`${root}${path}`, "utf8");

let service: Service;
let directory: string;
beforeAll(async () => {
  service = await startService();
  directory = await mkdtemp(join(tmpdir(), "llmq-example-"));
});
afterAll(async () => {
  await service.stop();
  await rm(directory, { recursive: true, force: true });
});
const environment = () => ({ ...process.env, DATABASE_URL: service.database.url });

test("each example is in a list here, and starts with how to run it", async () => {
  const listed = { ...EXAMPLES, ...MORE };
  const files = (await readdir(`${root}examples`, { recursive: true })).filter((name) => name.includes("."));
  expect(files.map((name) => `examples/${name}`).sort()).toEqual(Object.values(listed).sort());
  for (const path of Object.values(listed)) {
    expect((await read(path)).slice(0, 200)).toMatch(/A first request from .*DATABASE_URL/);
  }
});

test.for(Object.entries(EXAMPLES))("the README's first request in %s is in %s", async ([language, path]) => {
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
});

test("psql", async ({ skip }) => {
  if (!(await runs("psql", ["--version"]))) skip("psql is not installed");
  const { stdout } = await run("psql", ["-X", service.database.url, "-f", `${root}${EXAMPLES.sql}`]);
  expect(stdout).toContain('completed | {"summary": "sim"}');
});

test("Python", async ({ skip }) => {
  if (!(await runs("/usr/bin/python3", ["-c", "import psycopg"]))) skip("psycopg 3 is not installed");
  const { stdout } = await run("/usr/bin/python3", [`${root}${EXAMPLES.python}`], { env: environment() });
  expect(stdout.trim()).toBe(`completed ${ANSWER}`);
});

test("Ruby", async ({ skip }) => {
  if (!(await runs("/usr/bin/ruby", ["-r", "pg", "-e", ""]))) skip("Ruby with the gem pg is not installed");
  const { stdout } = await run("/usr/bin/ruby", [`${root}${MORE.ruby}`], { env: environment() });
  expect(stdout).toBe(`completed\n${ANSWER}\n`);
});

test("PHP", async ({ skip }) => {
  const check = ["-r", "exit(extension_loaded('pdo_pgsql') ? 0 : 1);"];
  if (!(await runs("/usr/bin/php", check))) skip("PHP with pdo_pgsql is not installed");
  const { stdout } = await run("/usr/bin/php", [`${root}${MORE.php}`], { env: environment() });
  expect(stdout).toBe(`completed\n${ANSWER}\n`);
});

test("Go", { timeout: 300_000 }, async ({ skip }) => {
  const source = await read(EXAMPLES.go);
  const versions = ["v5", "v4"].map((version) => `github.com/jackc/pgx/${version}`);
  const found = await Promise.all(versions.map((path) => exists(`${GO_PATH}/src/${path}`)));
  const pgx = versions[found.indexOf(true)];
  if (!(await runs("go", ["version"])) || pgx === undefined) {
    skip("Go with Debian's golang-github-jackc-pgx-v5-dev (or v4) is not installed");
  }
  // Debian 12 has pgx 4, which has the same names for what is used here.
  const file = join(directory, "first_request.go");
  await writeFile(file, source.replace("github.com/jackc/pgx/v5", pgx as string));
  const env = { ...environment(), GO111MODULE: "off", GOPATH: GO_PATH, GOFLAGS: "" };
  const { stdout } = await run("go", ["run", file], {
    env: { ...env, GOCACHE: process.env.GOCACHE ?? join(directory, "go-cache") },
  });
  expect(stdout).toBe(`completed\n${ANSWER}\n`);
});

test("Elixir", ({ skip }) => {
  skip("Postgrex is not among Debian's packages: this example is checked against the README alone");
});

test("TypeScript", async () => {
  expect(await runTypeScript(await read(EXAMPLES.ts))).toBe(ANSWER);
});

test("the loop over tool calls in docs/recipes.md, in TypeScript", async () => {
  const loop = snippetsOf(await read("docs/recipes.md")).find((one) => one.language === "ts");
  const said = await runTypeScript(`import { createClient } from "llmq";
await using client = createClient({ connectionString: process.env.DATABASE_URL ?? "" });
const messages = [{ role: "user" as const, content: "How warm is it in Porto?" }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function" as const, function: { name: "get_weather", parameters } }];
const runTool = async (name: string, params: object) => ({ name, ...params });
${loop?.code}
console.log(turn.response);`);
  expect(said).toMatch(/^The tool said: .*"name": ?"get_weather"/);
});

/** Runs a program that imports llmq, and answers what it prints. */
async function runTypeScript(source: string): Promise<string> {
  const file = join(directory, "example.mts");
  const index = JSON.stringify(pathToFileURL(`${root}src/index.ts`).href);
  await writeFile(file, source.replace('"llmq"', index));
  const tsx = `${root}node_modules/tsx/dist/cli.mjs`;
  const { stdout } = await run(process.execPath, [tsx, file], { env: environment() });
  return stdout.trim();
}

function runs(command: string, args: string[]): Promise<boolean> {
  return run(command, args).then(
    () => true,
    () => false,
  );
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
