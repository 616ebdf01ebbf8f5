import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";

const command = fileURLToPath(new URL("../../bin/llmq.js", import.meta.url));
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.query("select llmq.configure_provider('sim', 'sim'), llmq.configure_model('sim', 'sim')");
});
afterAll(() => database.drop());

test("an orchestrator under npm stops in order when npm is ended, which passes no signal on", async () => {
  // As npm runs a command: a parent that dies of the signal and leaves its child alone.
  const parent = spawn(
    process.execPath,
    [
      "-e",
      `const child = require("node:child_process").spawn(process.execPath, [${JSON.stringify(command)}, "start"], { stdio: ["ignore", "inherit", "inherit"] });
       console.log(child.pid);
       setInterval(() => undefined, 1000);`,
    ],
    {
      env: { ...process.env, npm_command: "exec", DATABASE_URL: database.url, LLMQ_HTTP_PORT: "off" },
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  const [first] = await once(createInterface({ input: parent.stdout }), "line");
  const workers = () => database.query("select id from llmq.workers where info ? 'version'");
  await eventually(async () => (await workers()).length === 1);
  parent.kill("SIGTERM");
  await eventually(async () => (await workers()).length === 0);
  await eventually(() => isGone(Number(first)));
  expect(await workers()).toEqual([]);
});

async function isGone(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return true;
  }
  // Ended, but nobody has asked for its exit code yet.
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat.includes(") Z ");
}
