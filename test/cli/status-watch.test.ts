import { PassThrough, Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CommandContext } from "../../src/cli/context.ts";
import { watchStatus } from "../../src/cli/status-watch.ts";
import { createTerminal } from "../../src/cli/terminal.ts";
import { configureSim, submit } from "../orchestrator/support.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { runCli, startCli } from "./run-cli.ts";

const CLEAR = "\x1b[H";
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await configureSim(database);
});
afterAll(() => database.drop());

/** A terminal of 20 lines that remembers what was drawn, and its keyboard. */
function fakeTerminal() {
  let written = "";
  const screen = new Writable({
    write(chunk, _encoding, done) {
      written += String(chunk);
      done();
    },
  });
  const stream = Object.assign(screen, {
    isTTY: true,
    columns: 100,
    rows: 20,
  }) as unknown as NodeJS.WriteStream;
  const modes: boolean[] = [];
  const setRawMode = (isRaw: boolean) => void modes.push(isRaw);
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode });
  const context = {
    out: createTerminal(stream),
    err: createTerminal(stream),
    stdin: stdin as unknown as NodeJS.ReadStream,
    stopSignal: new AbortController().signal,
  } as CommandContext;
  return { context, stdin, modes, written: () => written, frames: () => written.split(CLEAR).slice(1) };
}

function watch(terminal: ReturnType<typeof fakeTerminal>, pool = database.pool()) {
  const options = { pool, url: database.url, embedded: false, intervalMs: 20, json: false };
  return watchStatus(terminal.context, options);
}

test.each([["q"], ["\x03"]])(
  "a terminal is drawn over again until the key %j, and given back",
  async (key) => {
    const terminal = fakeTerminal();
    const watching = watch(terminal);
    await eventually(() => terminal.frames().length >= 2);
    const waiting = Number(/pending (\d+)/.exec(plain(terminal.frames().at(-1)))?.[1]);
    await submit(database);
    await eventually(() => plain(terminal.frames().at(-1)).includes(`pending ${waiting + 1}`));
    terminal.stdin.write(key);
    await watching;
    expect(terminal.modes).toEqual([true, false]);
    expect(terminal.written().startsWith("\x1b[?1049h")).toBe(true);
    expect(terminal.written().endsWith("\x1b[?1049l")).toBe(true);
    for (const frame of terminal.frames()) expect(frame.split("\n").length).toBeLessThanOrEqual(20);
  },
);

test("while the server is away the last screen stays, with the reason", async () => {
  const terminal = fakeTerminal();
  const pool = database.pool({ max: 1 });
  const answered = pool.query.bind(pool) as (text: string) => Promise<unknown>;
  const watching = watch(terminal, pool);
  await eventually(() => terminal.frames().length >= 1);
  pool.query = (() => Promise.reject(Object.assign(new Error("away"), { code: "ECONNREFUSED" }))) as never;
  await eventually(() => plain(terminal.frames().at(-1)).includes("away; trying again"));
  expect(plain(terminal.frames().at(-1))).toContain("Orchestrators");
  pool.query = answered as never;
  await eventually(() => plain(terminal.frames().at(-1)).includes("q ends"));
  terminal.stdin.write("q");
  await watching;
});

test("in a pipe it prints one snapshot after the other, plain, and a signal ends it with 0", async () => {
  const run = startCli(["status", "--watch", "--interval", "100ms"], { databaseUrl: database.url });
  await eventually(() => run.printed().split("Orchestrators").length > 3);
  run.kill("SIGTERM");
  const { code, stdout, stderr } = await run.result;
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).not.toContain("\x1b");
});

test("--json --watch prints one object per line", async () => {
  const run = startCli(["status", "--watch", "--json", "--interval", "100ms"], { databaseUrl: database.url });
  await eventually(() => run.printed().split("\n").length > 3);
  run.kill("SIGINT");
  const { code, stdout } = await run.result;
  expect(code).toBe(0);
  const lines = stdout.trimEnd().split("\n");
  expect(lines.map((line) => JSON.parse(line).database)).toEqual(lines.map(() => database.name));
});

test.each(["0s", "2 weeks", "never"])("the interval %s is a usage error", async (interval) => {
  const { code, stderr } = await runCli(["status", "--watch", "--interval", interval]);
  expect(code).toBe(2);
  expect(stderr).toContain("Write a duration");
});

function plain(text = ""): string {
  return stripVTControlCharacters(text);
}
