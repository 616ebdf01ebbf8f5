/** Builds the parameters of `llmq.submit_llm_request` from the command line, a file and standard input. */
import { readFile } from "node:fs/promises";
import { UsageError } from "../errors.ts";
import type { SubmitOptions } from "./submit-options.ts";

/** By parameter name. JSON parameters hold values, not text; what is absent gets SQL's default. */
export type SubmitParameters = Record<string, unknown>;

/** The parameters of `llmq.submit_llm_request`, and whether they are jsonb. */
export const SUBMIT_PARAMETERS: Record<string, "json" | "plain"> = {
  agent_id: "plain",
  task_type: "plain",
  messages: "json",
  complexity: "plain",
  context: "json",
  response_schema: "json",
  tools: "json",
  settings: "json",
  model: "plain",
  priority: "plain",
  run_at: "plain",
  deadline: "plain",
  max_attempts: "plain",
  idempotency_key: "plain",
  reply_to: "plain",
  parent_id: "plain",
};

type Message = { role: string; content: unknown };
type Input = { request: SubmitParameters; messages: Message[] };

/** Reads what there is to read: files, and standard input when it is asked for or nothing else is given. */
export async function buildRequest(
  options: SubmitOptions,
  readStdin: () => Promise<string | null>,
): Promise<SubmitParameters> {
  const { request, messages } = await readInput(options, readStdin);
  const system = options.system === undefined ? [] : [{ role: "system", content: options.system }];
  const all = [...system, ...messages];
  if (all.length === 0) {
    throw new UsageError("there is no message to submit", {
      hint: 'Give it as an argument (llmq submit "Hello"), with --file, or on standard input.',
    });
  }
  const named = {
    agent_id: options.agent,
    task_type: options.taskType,
    complexity: options.complexity,
    model: options.model,
    response_schema: await jsonValue("--schema", options.schema),
    tools: await jsonValue("--tools", options.tools),
    settings: await jsonValue("--settings", options.settings),
    priority: options.priority,
    run_at: options.runAt?.toISOString(),
    deadline: options.deadline?.toISOString(),
    idempotency_key: options.idempotencyKey,
    reply_to: options.replyTo,
  };
  const given = Object.entries(named).filter(([, value]) => value !== undefined);
  return { agent_id: "cli", task_type: "chat", ...request, ...Object.fromEntries(given), messages: all };
}

async function readInput(options: SubmitOptions, readStdin: () => Promise<string | null>): Promise<Input> {
  const words = options.message.filter((word) => word !== "-").join(" ");
  const wantsStdin =
    options.message.includes("-") || options.file === "-" || (words === "" && options.file === undefined);
  const text = wantsStdin ? await readStdin() : null;
  const fromFile =
    options.file === undefined || options.file === "-"
      ? null
      : understand(await read("--file", options.file), options.file.endsWith(".json") ? options.file : null);
  const fromStdin = text === null || text.trim() === "" ? null : understand(text, null);
  const inputs = [fromFile, fromStdin].filter((input) => input !== null);
  return {
    request: Object.assign({}, ...inputs.map((input) => input.request)),
    messages: join(words, inputs),
  };
}

/** A question and plain texts are one user message; ready-made messages stay as they are, the question last. */
function join(question: string, inputs: (Input & { text?: string })[]): Message[] {
  const ready = inputs.flatMap((input) => input.messages);
  const texts = [question, ...inputs.map((input) => input.text ?? "")].filter((text) => text !== "");
  return texts.length === 0 ? ready : [...ready, { role: "user", content: texts.join("\n\n") }];
}

/** `jsonFile`: its name promises JSON, so that anything else is a mistake. */
function understand(text: string, jsonFile: string | null): Input & { text?: string } {
  const value = parsed(text, jsonFile);
  if (isMessages(value)) return { request: {}, messages: value };
  if (isObject(value) && "messages" in value)
    return { request: request(value), messages: value.messages as Message[] };
  if (jsonFile === null) return { request: {}, messages: [], text: text.trim() };
  throw new UsageError(`${jsonFile} holds neither a list of messages nor an object with messages`, {
    hint: 'For example [{"role": "user", "content": "Hello"}]. To send JSON as text, pipe it in: llmq submit "..." - < file',
  });
}

function parsed(text: string, jsonFile: string | null): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (jsonFile === null) return undefined;
    throw new UsageError(`${jsonFile} is not JSON: ${(error as Error).message}`);
  }
}

function request(value: Record<string, unknown>): SubmitParameters {
  const unknown = Object.keys(value).filter((key) => !(key in SUBMIT_PARAMETERS));
  if (unknown.length > 0) {
    throw new UsageError(`the request has unknown keys: ${unknown.join(", ")}`, {
      hint: `Known keys: ${Object.keys(SUBMIT_PARAMETERS).join(", ")}.`,
    });
  }
  if (!Array.isArray(value.messages)) throw new UsageError("the request's messages must be a list");
  const { messages: _, ...rest } = value;
  return Object.fromEntries(Object.entries(rest).filter(([, one]) => one !== null));
}

/** JSON itself when it looks like it, else the name of a file. */
async function jsonValue(option: string, given: string | undefined): Promise<unknown> {
  if (given === undefined) return undefined;
  const inline = /^\s*([[{]|true$|false$)/.test(given);
  const text = inline ? given : await read(option, given);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${option}${inline ? "" : ` (${given})`} is not JSON: ${(error as Error).message}`);
  }
}

async function read(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(`${option}: ${code === "ENOENT" ? `there is no file ${path}` : message}`);
  }
}

function isMessages(value: unknown): value is Message[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => isObject(one) && "role" in one);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
