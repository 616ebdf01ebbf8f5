/** The environment is read here and nowhere else; everybody else gets a `Config`. */
import { type ConfigVariableName, configVariable } from "./config-variables.ts";
import { UsageError } from "./errors.ts";

export { type ConfigVariable, configVariables } from "./config-variables.ts";

export type Environment = Record<string, string | undefined>;

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

/** Vendors whose API key is set. */
export type KeyVendor = "openai" | "anthropic" | "google";

export type HttpConfig = {
  host: string;
  /** 0: any free port. */
  port: number;
  token: string | null;
  /** Null: no dashboard. */
  dashboard: DashboardConfig | null;
};

export type DashboardConfig = {
  prompts: "show" | "hide";
  /** Null: the queue's own. */
  databaseUrl: string | null;
};

export type Config = {
  /** Null: the embedded Postgres in `dataDir`. */
  databaseUrl: string | null;
  /** Connection for LISTEN: `LLMQ_LISTEN_URL`, else `databaseUrl`; null with the embedded Postgres. */
  listenUrl: string | null;
  /** Loop (a): requests. */
  llmPollIntervalMs: number;
  llmBatchSize: number;
  /** Loop (b): shared pgmq queues. */
  sharedPollIntervalMs: number;
  sharedBatchSize: number;
  retentionDays: number;
  /** Calls in flight in this process. */
  concurrency: number;
  /** Null: no HTTP server. */
  http: HttpConfig | null;
  /** False: no LISTEN, polling alone. */
  notify: boolean;
  logLevel: LogLevel;
  poolSize: number;
  heartbeatIntervalMs: number;
  shutdownGraceMs: number;
  /** Directory of everything the embedded Postgres keeps. */
  dataDir: string;
  /** In the order in which first routes prefer them. */
  keys: KeyVendor[];
  baseUrls: { openai: string | null; anthropic: string | null };
  /** API keys and tokens found, for whoever must keep them out of its output. */
  secrets: string[];
};

export type ConfigProblem = {
  variable: string;
  /** As it was given; passwords and secrets are masked. */
  value: string;
  expected: string;
};

/** All wrong variables at once. */
export class ConfigError extends UsageError {
  override readonly name = "ConfigError";
  readonly problems: ConfigProblem[];

  constructor(problems: ConfigProblem[]) {
    const lines = problems.map((one) => `${one.variable}=${one.value}: expected ${one.expected}`);
    super(
      problems.length === 1
        ? `a variable has a wrong value: ${lines[0]}`
        : `${problems.length} variables have wrong values:\n${lines.map((line) => `  ${line}`).join("\n")}`,
      { hint: "llmq --help lists every variable with its default." },
    );
    this.problems = problems;
  }
}

const LOG_LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];
const HOUR_MS = 3_600_000;
/** Longest delay of a timer in Node. */
const TIMER_MS = 2_147_483_647;

/**
 * Reads and checks the environment; a variable that is empty counts as not set.
 *
 * @throws ConfigError that lists every wrong value.
 */
export function readConfig(env: Environment): Config {
  const read = reader(env);
  const databaseUrl = read.postgresUrl("DATABASE_URL");
  const config: Config = {
    databaseUrl,
    listenUrl: read.postgresUrl("LLMQ_LISTEN_URL") ?? databaseUrl,
    llmPollIntervalMs: read.integer("SHARED_QUEUE_LLM_POLL_MS", 1, HOUR_MS),
    llmBatchSize: read.integer("SHARED_QUEUE_LLM_BATCH_SIZE", 1, 1000),
    sharedPollIntervalMs: read.integer("SHARED_QUEUE_POLL_MS", 1, HOUR_MS),
    sharedBatchSize: read.integer("SHARED_QUEUE_BATCH_SIZE", 1, 10_000),
    retentionDays: read.integer("SHARED_QUEUE_RETENTION_DAYS", 1, 36_500),
    concurrency: read.integer("LLMQ_CONCURRENCY", 1, 100_000),
    http: readHttp(read),
    notify: read.onOff("LLMQ_NOTIFY"),
    logLevel: read.oneOf("LLMQ_LOG_LEVEL", LOG_LEVELS),
    poolSize: read.integer("LLMQ_POOL_SIZE", 1, 1000),
    heartbeatIntervalMs: read.integer("LLMQ_HEARTBEAT_MS", 250, HOUR_MS),
    shutdownGraceMs: read.integer("LLMQ_SHUTDOWN_GRACE_MS", 0, TIMER_MS),
    dataDir: read.text("LLMQ_DATA_DIR") ?? ".llmq",
    keys: readKeys(read),
    baseUrls: { openai: read.httpUrl("OPENAI_BASE_URL"), anthropic: read.httpUrl("ANTHROPIC_BASE_URL") },
    secrets: [],
  };
  if (read.problems.length > 0) throw new ConfigError(read.problems);
  return { ...config, secrets: read.secrets };
}

/** Checks a URL given on the command line as if it were `DATABASE_URL`. */
export function withDatabaseUrl(env: Environment, url: string | undefined): Environment {
  return url === undefined ? env : { ...env, DATABASE_URL: url };
}

/** A Postgres URL without its password, for people to see. */
export function maskPassword(url: string): string {
  return url.replace(/(:\/\/[^:@/?]*):.*@/, "$1:***@").replace(/([?&]password=)[^&]*/g, "$1***");
}

type Reader = ReturnType<typeof reader>;

function readHttp(read: Reader): HttpConfig | null {
  const host = read.text("LLMQ_HTTP_HOST") ?? "127.0.0.1";
  const token = read.text("LLMQ_HTTP_TOKEN");
  if (token !== null && /[^\x21-\x7e]/.test(token)) {
    read.refuse("LLMQ_HTTP_TOKEN", "printable ASCII characters without spaces");
  }
  if (read.text("LLMQ_HTTP_PORT") === "off") return null;
  return {
    host,
    port: read.integer("LLMQ_HTTP_PORT", 0, 65_535, ", or off"),
    token,
    dashboard: readDashboard(read),
  };
}

function readDashboard(read: Reader): DashboardConfig | null {
  const dashboard: DashboardConfig = {
    prompts: read.oneOf("LLMQ_DASHBOARD_PROMPTS", ["show", "hide"]),
    databaseUrl: read.postgresUrl("LLMQ_DASHBOARD_DATABASE_URL"),
  };
  return read.onOff("LLMQ_DASHBOARD") ? dashboard : null;
}

function readKeys(read: Reader): KeyVendor[] {
  const keys: KeyVendor[] = [];
  if (read.text("OPENAI_API_KEY") !== null) keys.push("openai");
  if (read.text("ANTHROPIC_API_KEY") !== null) keys.push("anthropic");
  if (read.text("GOOGLE_GENERATIVE_AI_API_KEY") !== null) keys.push("google");
  return keys;
}

/** Reads single variables and collects what is wrong with them; a wrong one reads as some legal value. */
function reader(env: Environment) {
  const problems: ConfigProblem[] = [];
  const secrets: string[] = [];

  function given(name: ConfigVariableName): string | null {
    const value = env[name]?.trim() || null;
    if (value !== null && configVariable(name).secret && !secrets.includes(value)) secrets.push(value);
    return value;
  }
  function text(name: ConfigVariableName): string | null {
    return given(name) ?? (configVariable(name).default || null);
  }
  function refuse(variable: ConfigVariableName, expected: string): void {
    const value = configVariable(variable).secret ? "(hidden)" : maskPassword(given(variable) ?? "");
    problems.push({ variable, value, expected });
  }
  function integer(name: ConfigVariableName, min: number, max: number, orElse = ""): number {
    const value = text(name) ?? "";
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    refuse(name, `a whole number from ${min} to ${max}${orElse}`);
    return min;
  }
  function oneOf<Word extends string>(name: ConfigVariableName, words: readonly Word[]): Word {
    const value = text(name)?.toLowerCase();
    const found = words.find((word) => word === value);
    if (found === undefined) refuse(name, `one of ${words.join(", ")}`);
    return found ?? (words[0] as Word);
  }
  function onOff(name: ConfigVariableName): boolean {
    return ["on", "true"].includes(oneOf(name, ["on", "off", "true", "false"]));
  }
  function postgresUrl(name: ConfigVariableName): string | null {
    const value = given(name);
    if (value === null || isPostgresUrl(value)) return value;
    refuse(name, "a URL like postgres://user:password@host:5432/database, special characters as %XX");
    return null;
  }
  function httpUrl(name: ConfigVariableName): string | null {
    const value = given(name);
    if (value === null || (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol))) return value;
    refuse(name, "an http or https URL");
    return null;
  }
  return { problems, secrets, text, refuse, integer, oneOf, onOff, postgresUrl, httpUrl };
}

/** A URL for a socket may have a user and no host (`postgres://me@/db?host=/run/postgresql`), as in node-postgres. */
function isPostgresUrl(value: string): boolean {
  return /^postgres(ql)?:\/\//.test(value) && URL.canParse(value.replace("@/", "@socket/"));
}
