import { type DestinationStream, type Logger, pino } from "pino";
import pretty from "pino-pretty";
import type { LogLevel } from "./config.ts";

export type LoggerOptions = {
  level: LogLevel;
  /** Values that never appear, wherever they come from: API keys and tokens. */
  secrets?: string[];
  /** Where lines go; standard error by default, so that standard output is the command's own. */
  stream?: DestinationStream & { isTTY?: boolean };
};

/** Fields that hold credentials, at the top and one or two levels down. */
const CREDENTIALS = [
  "apiKey",
  "authorization",
  "Authorization",
  "connectionString",
  "databaseUrl",
  "listenUrl",
  "password",
  "token",
];

/** Shorter ones would blank out ordinary words. */
const MIN_SECRET_LENGTH = 8;

/** One line per event: readable on a terminal, JSON elsewhere. Secrets, prompts and answers are not in it. */
export function createLogger(options: LoggerOptions): Logger {
  const stream = options.stream ?? process.stderr;
  const secrets = (options.secrets ?? []).filter((secret) => secret.length >= MIN_SECRET_LENGTH);
  const destination = stream.isTTY
    ? pretty({
        colorize: true,
        ignore: "name,pid,hostname",
        translateTime: "SYS:HH:MM:ss.l",
        destination: stream,
        sync: true,
      })
    : stream;
  return pino(
    {
      level: options.level,
      base: { name: "llmq", pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeForLog, error: describeForLog, cause: describeForLog },
      redact: {
        paths: CREDENTIALS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
        censor: "[redacted]",
      },
      hooks: {
        streamWrite: (line) => secrets.reduce((text, secret) => text.replaceAll(secret, "[redacted]"), line),
      },
    },
    destination,
  );
}

/**
 * An error without the fields that libraries hang on it: a provider's error carries the whole prompt, and the
 * DETAIL of a constraint violation the whole row.
 */
function describeForLog(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code, detail, hint, constraint, routine } = error as Error & Record<string, unknown>;
  return {
    type: error.name,
    message: error.message,
    ...(typeof code === "string" && { code }),
    ...(typeof code === "string" && code.startsWith("LQ") && { detail, hint }),
    ...(typeof constraint === "string" && { constraint }),
    ...(typeof routine === "string" && { routine }),
    stack: error.stack,
    ...(error.cause !== undefined && { cause: describeForLog(error.cause) }),
    ...(error instanceof AggregateError && { errors: error.errors.map(describeForLog) }),
  };
}
