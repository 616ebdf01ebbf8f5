import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { count, counted, duration, printable } from "../../src/cli/format.ts";
import { describeError } from "../../src/cli/report-error.ts";
import { parseDuration, parseTime, type SubmitOptions } from "../../src/cli/submit-options.ts";
import { buildRequest } from "../../src/cli/submit-request.ts";
import { clip, type Terminal, table } from "../../src/cli/terminal.ts";
import { CommandError, UsageError } from "../../src/errors.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "llmq-cli-test-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const options: SubmitOptions = { message: [], timeout: 60_000 };

function build(changes: Partial<SubmitOptions>, stdin: string | null = null) {
  return buildRequest({ ...options, ...changes }, async () => stdin);
}

async function file(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

describe("what is submitted", () => {
  const user = (content: string) => ({ role: "user", content });

  test("arguments are one message", async () => {
    expect((await build({ message: ["Hello", "there"] })).messages).toEqual([user("Hello there")]);
  });

  test("standard input is read when nothing else is given, or asked for with -", async () => {
    expect((await build({}, "piped\n")).messages).toEqual([user("piped")]);
    expect((await build({ message: ["Sum up:", "-"] }, "piped\n")).messages).toEqual([
      user("Sum up:\n\npiped"),
    ]);
    expect((await build({ file: "-" }, "piped\n")).messages).toEqual([user("piped")]);
    expect((await build({ message: ["Hello"] }, "not read")).messages).toEqual([user("Hello")]);
  });

  test("a text file follows the question", async () => {
    const path = await file("a.txt", "The contract.\n");
    expect((await build({ message: ["Sum up"], file: path })).messages).toEqual([
      user("Sum up\n\nThe contract."),
    ]);
  });

  test("JSON messages are taken as they are, from a file or a pipe; a question comes last", async () => {
    const messages = [{ role: "assistant", content: "Yes?" }];
    const path = await file("messages.json", JSON.stringify(messages));
    expect((await build({ file: path, message: ["Go on"] })).messages).toEqual([...messages, user("Go on")]);
    expect((await build({}, JSON.stringify(messages))).messages).toEqual(messages);
  });

  test("JSON that is neither messages nor a request is text in a pipe, and a mistake in a .json file", async () => {
    expect((await build({}, '{"a": 1}')).messages).toEqual([user('{"a": 1}')]);
    expect((await build({}, "[broken")).messages).toEqual([user("[broken")]);
    await expect(build({ file: await file("b.json", '{"a": 1}') })).rejects.toThrow(
      "neither a list of messages",
    );
    await expect(build({ file: await file("c.json", "[broken") })).rejects.toThrow("is not JSON");
  });

  test("unknown keys of a request are refused, nulls get the default", async () => {
    const request = { messages: [user("x")], agent_id: "me", priority: null };
    expect(await build({}, JSON.stringify(request))).toEqual({
      agent_id: "me",
      task_type: "chat",
      messages: [user("x")],
    });
    await expect(build({}, JSON.stringify({ ...request, agent: "me" }))).rejects.toThrow(
      "unknown keys: agent",
    );
    await expect(build({}, JSON.stringify({ messages: "x" }))).rejects.toThrow("must be a list");
  });

  test("nothing at all is a usage error", async () => {
    await expect(build({}, null)).rejects.toThrow(UsageError);
    await expect(build({}, " \n")).rejects.toThrow("no message");
  });
});

test("durations and times are read with their units, and nothing else is", () => {
  expect(["90", "90s", "1.5m", "2h", "1d", "250ms"].map(parseDuration)).toEqual([
    90_000, 90_000, 90_000, 7_200_000, 86_400_000, 250,
  ]);
  for (const wrong of ["", "soon", "-1s", "1 week", "1e3s"]) expect(() => parseDuration(wrong)).toThrow();
  expect(parseTime("10m", undefined, 0)).toEqual(new Date(600_000));
  expect(parseTime("+1h", undefined, 0)).toEqual(new Date(3_600_000));
  expect(parseTime("2026-01-31T09:00Z")).toEqual(new Date("2026-01-31T09:00:00Z"));
  for (const wrong of ["tomorrow", "10", "2026-13-01", "Jan 1 2026", "1e9"])
    expect(() => parseTime(wrong)).toThrow();
});

test("numbers for people", () => {
  expect([5, 1_200, 12_000, 180_000, 7_200_000, 300_000_000].map(duration)).toEqual([
    "5 ms",
    "1.2 s",
    "12 s",
    "3 min",
    "2 h",
    "3 days",
  ]);
  expect(duration(-3)).toBe("0 ms");
  expect([count(1234567), counted(1, "row"), counted(2, "row")]).toEqual(["1,234,567", "1 row", "2 rows"]);
});

test("what a model says cannot steer the terminal", () => {
  expect(printable("a\x1b]0;title\x07b\r\n\tc\u009b31m")).toBe("a]0;titleb\n\tc31m");
});

test("tables align styled cells by what is seen, and cut the last column on a terminal", () => {
  const terminal = (isTTY: boolean) =>
    ({ isTTY, width: 40, style: (_: unknown, text: string) => text }) as Terminal;
  const rows = [
    ["\x1b[32mok\x1b[39m", "7", "a\nlong message that does not fit into the line"],
    ["failed", "12", ""],
  ];
  expect(table(terminal(false), ["state", "n", "message"], rows, [1])).toEqual([
    "  state    n  message",
    "  \x1b[32mok\x1b[39m       7  a long message that does not fit into the line",
    "  failed  12",
  ]);
  expect(table(terminal(true), ["state", "n", "message"], rows, [1])[1]).toMatch(/…$/);
  expect(clip("abcdef", 4)).toBe("abc…");
});

describe("errors", () => {
  const sql = (code: string, more = {}) => Object.assign(new Error("no"), { code, ...more });

  test("codes decide the exit code", () => {
    const exitCodes = ["LQ001", "LQ003", "LQ006", "22007", "LQ002", "LQ005", "LQ008", "53300", "42501"].map(
      (code) => describeError(sql(code)).exitCode,
    );
    expect(exitCodes).toEqual([2, 2, 2, 2, 1, 1, 1, 1, 1]);
    expect(describeError(new UsageError("x")).exitCode).toBe(2);
    expect(describeError(new CommandError("x")).exitCode).toBe(1);
    expect(describeError("thrown text")).toMatchObject({ message: "thrown text", exitCode: 1 });
  });

  test("detail and hint come from the database, else the hint from the catalogue", () => {
    expect(describeError(sql("LQ001", { detail: "It is 7.", hint: "Use 1." }))).toMatchObject({
      detail: "It is 7.",
      hint: "Use 1.",
    });
    expect(describeError(sql("LQ002")).hint).toContain("Check the id");
  });

  test("a host with several addresses that all refuse is one message", () => {
    const refused = (address: string) =>
      Object.assign(new Error(`connect ECONNREFUSED ${address}`), { code: "ECONNREFUSED" });
    const error = Object.assign(new AggregateError([refused("::1"), refused("127.0.0.1")]), {
      code: "ECONNREFUSED",
    });
    expect(describeError(error).message).toBe(
      "no connection to the database: connect ECONNREFUSED ::1; connect ECONNREFUSED 127.0.0.1",
    );
  });
});
