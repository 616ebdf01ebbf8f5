import { type Command, InvalidArgumentError, Option } from "commander";

export type SubmitOptions = {
  message: string[];
  file?: string;
  system?: string;
  agent?: string;
  taskType?: string;
  complexity?: string;
  model?: string;
  schema?: string;
  tools?: string;
  settings?: string;
  priority?: number;
  runAt?: Date;
  deadline?: Date;
  idempotencyKey?: string;
  replyTo?: string;
  wait?: boolean;
  /** Milliseconds. */
  timeout: number;
  json?: boolean;
};

export function addSubmitOptions(command: Command): Command {
  return command
    .argument("[message...]", "what the user says; - reads it from standard input")
    .option(
      "--file <path>",
      "text, JSON messages, or a JSON object with the parameters of submit_llm_request",
    )
    .option("--system <text>", "a system message before all others")
    .option("--agent <id>", "who asks; default: cli")
    .option("--task-type <type>", "kind of work, for routing; default: chat")
    .addOption(new Option("--complexity <word>", "for routing").choices(["simple", "medium", "complex"]))
    .option("--model <name>", "ask this model and no other")
    .option("--schema <json>", "JSON Schema the answer must satisfy: a file, or the JSON itself")
    .option("--tools <json>", "tools the model may call: a file, or the JSON itself")
    .option("--settings <json>", "temperature, max_tokens, ...: a file, or the JSON itself")
    .option("--priority <number>", "-100 to 100, higher first", parseWholeNumber)
    .option("--run-at <time>", "not before: 2026-01-31T09:00Z, or 10m from now", parseTime)
    .option("--deadline <time>", "fails when not finished by then: a time, or 10m from now", parseTime)
    .option("--idempotency-key <key>", "the same key of the same agent gives the first request's id")
    .option("--reply-to <queue>", "pgmq queue that gets the result as well")
    .option("--wait", "wait for the end and print the answer")
    .addOption(
      new Option("--timeout <duration>", "how long to wait, for example 90s or 5m")
        .argParser(parseDuration)
        .default(60_000, "60s"),
    )
    .option("--json", "print JSON: the id, or with --wait the whole result")
    .addHelpText("after", EXAMPLES);
}

const EXAMPLES = `
Examples:
  llmq submit "Name three rivers" --wait
  llmq submit --file contract.txt "Summarise this" --schema summary.schema.json --wait
  git diff | llmq submit "Review this change" - --complexity complex`;

const UNITS_MS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** "500ms", "90s", "5m", "2h", "1d"; a bare number is seconds. In milliseconds. */
export function parseDuration(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?$/.exec(text.trim()) ?? [];
  if (number === undefined) throw new InvalidArgumentError("Write a duration like 90s, 5m or 2h.");
  return Math.round(Number(number) * (UNITS_MS[unit ?? "s"] ?? 1000));
}

/** ISO 8601, or a duration from `now`. */
export function parseTime(text: string, _previous?: unknown, now = Date.now()): Date {
  if (/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?$/.test(text)) {
    const at = new Date(text);
    if (!Number.isNaN(at.getTime())) return at;
  }
  if (/^\+?\d+(\.\d+)?\s*(ms|s|m|min|h|d)$/.test(text)) {
    const at = new Date(now + parseDuration(text.replace(/^\+/, "")));
    if (!Number.isNaN(at.getTime())) return at;
  }
  throw new InvalidArgumentError("Write a time like 2026-01-31T09:00Z, or a duration from now like 10m.");
}

function parseWholeNumber(text: string): number {
  if (/^[+-]?\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Write a whole number.");
}
