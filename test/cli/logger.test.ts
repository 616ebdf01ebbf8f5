import { expect, test } from "vitest";
import { createLogger } from "../../src/logger.ts";

function capture(options: { secrets?: string[]; isTTY?: boolean } = {}) {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line), isTTY: options.isTTY ?? false };
  const logger = createLogger({ level: "info", stream, secrets: options.secrets ?? [] });
  return { logger, text: () => lines.join("") };
}

test("a line is one JSON object with the level as a word and the time in ISO 8601", () => {
  const { logger, text } = capture();
  logger.info({ requestId: "r1" }, "request completed");
  expect(JSON.parse(text())).toMatchObject({
    level: "info",
    name: "llmq",
    requestId: "r1",
    msg: "request completed",
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
  });
});

test("fields that hold credentials are redacted at every level", () => {
  const { logger, text } = capture();
  logger.info({ apiKey: "k-1", http: { token: "t-1" }, a: { headers: { authorization: "b-1" } } }, "event");
  expect(text()).not.toMatch(/k-1|t-1|b-1/);
});

test("a known secret never appears, not even inside a message", () => {
  const { logger, text } = capture({ secrets: ["sk-abcdefgh", "short"] });
  logger.warn({ err: new Error("Incorrect key sk-abcdefgh") }, "refused sk-abcdefgh in short");
  expect(text()).not.toContain("sk-abcdefgh");
  expect(text()).toContain("in short");
});

test("an error is logged without the prompt a library hung on it, and with its causes", () => {
  const { logger, text } = capture();
  const cause = Object.assign(new Error("no space"), { code: "53100", detail: "row (secret prompt)" });
  const error = Object.assign(new Error("call failed", { cause }), { requestBodyValues: "secret prompt" });
  logger.error({ err: error }, "failed");
  expect(text()).not.toContain("secret prompt");
  expect(JSON.parse(text()).err).toMatchObject({
    message: "call failed",
    cause: { code: "53100", message: "no space" },
  });
});

test("llmq's own errors keep their detail and hint", () => {
  const { logger, text } = capture();
  const error = Object.assign(new Error("no"), { code: "LQ001", detail: "It is 7.", hint: "Use 1." });
  logger.error({ err: error }, "failed");
  expect(JSON.parse(text()).err).toMatchObject({ code: "LQ001", detail: "It is 7.", hint: "Use 1." });
});
