import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const command = fileURLToPath(new URL("../../bin/llmq.js", import.meta.url));
let directory: string;
let exitCode: number | null;
let output: string;

/** Runs it to its end. `onOutput` gets all it has printed so far, whenever that is more. */
async function demo(onOutput: (output: string, child: ChildProcess) => void = () => undefined) {
  const { OPENAI_API_KEY, ANTHROPIC_API_KEY, GOOGLE_GENERATIVE_AI_API_KEY, DATABASE_URL, ...env } =
    process.env;
  const child = spawn(process.execPath, [command, "demo"], {
    env: { ...env, LLMQ_DATA_DIR: directory },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      printed += chunk;
      onOutput(printed, child);
    });
  }
  const [code] = await once(child, "close");
  return { exitCode: code as number | null, output: printed };
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "llmq-demo-"));
  ({ exitCode, output } = await demo());
}, 180_000);

afterAll(() => rm(directory, { recursive: true, force: true }));

/** The last line that begins with a request's title: its row in the table. */
function row(title: string): string {
  return output.split("\n").findLast((line) => line.startsWith(title)) ?? "";
}

test("the demo ends well and leaves nothing behind", () => {
  expect(exitCode, output).toBe(0);
  expect(existsSync(join(directory, "demo"))).toBe(false);
});

test("it shows plain text, structured answers and both kinds of tool calls", () => {
  expect(row("plain text")).toMatch(/completed +1 +Hello/);
  expect(row("structured answer")).toMatch(/completed.*"vendor":"ACME"/);
  expect(row("native tool calls")).toMatch(/completed.*"tool_name":"get_weather"/);
  expect(row("  turn 2")).toMatch(/completed.*sunny in Lisbon/);
  expect(row("tool calls through a schema")).toMatch(/completed.*"tool_name":"get_weather"/);
});

test("it shows repaired, re-asked, broken and invalid answers with their details", () => {
  expect(row("answer that needs repair")).toContain("completed");
  expect(output).toMatch(/repairs: think_block, code_fence, repaired_json, coerced/);
  expect(row("wrong answer, asked again")).toMatch(/completed +2/);
  expect(row("broken JSON")).toMatch(/failed.*Malformed or invalid LLM response/);
  expect(output).toMatch(/"type":"json_decode_error".*"position":37.*"response_preview"/);
  expect(row("schema violation")).toContain("failed");
  expect(output).toContain(
    '{"type":"schema_violation","field":"tool_calls[0].params","message":"must be object"}',
  );
});

test("it shows a provider that is down and comes back, and a request cancelled while it ran", () => {
  expect(output).toMatch(/provider down, then back +pending, will try again: .*ECONNREFUSED/);
  expect(row("provider down, then back")).toMatch(/completed +[2-9] +Yes, I am back\./);
  expect(row("cancelled while running")).toMatch(/cancelled +1 +changed my mind/);
});

test("Ctrl-C ends it early, says so, and leaves nothing behind either", async () => {
  let told = false;
  const interrupted = await demo((printed, child) => {
    if (told || !/plain text +completed/.test(printed)) return;
    told = true;
    child.kill("SIGINT");
  });
  expect(interrupted.output.trimEnd().split("\n").at(-1)).toBe("error: interrupted");
  expect(interrupted.exitCode).toBe(1);
  expect(existsSync(join(directory, "demo"))).toBe(false);
}, 60_000);
