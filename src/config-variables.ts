export type ConfigVariable = {
  name: string;
  /** As it would be written in the environment; "" when there is none. */
  default: string;
  meaning: string;
  /** Never shown, logged or repeated in an error. */
  secret?: boolean;
};

/** Every environment variable that llmq reads: the source of `--help`, the documentation and the defaults. */
export const configVariables = [
  { name: "DATABASE_URL", default: "embedded", meaning: "where the queue is" },
  {
    name: "LLMQ_LISTEN_URL",
    default: "DATABASE_URL",
    meaning: "a direct connection for LISTEN, when the pool goes through a transaction pooler",
  },
  {
    name: "SHARED_QUEUE_LLM_POLL_MS",
    default: "100",
    meaning: "the latest an orchestrator looks for requests",
  },
  { name: "SHARED_QUEUE_LLM_BATCH_SIZE", default: "50", meaning: "requests claimed at once" },
  { name: "SHARED_QUEUE_POLL_MS", default: "1000", meaning: "poll of the shared pgmq queues" },
  { name: "SHARED_QUEUE_BATCH_SIZE", default: "100", meaning: "messages read at once from them" },
  { name: "SHARED_QUEUE_RETENTION_DAYS", default: "90", meaning: "finished requests are kept this long" },
  { name: "LLMQ_CONCURRENCY", default: "1000", meaning: "calls in flight in one orchestrator" },
  { name: "LLMQ_NOTIFY", default: "on", meaning: "`off`: polling alone" },
  {
    name: "LLMQ_HTTP_HOST",
    default: "127.0.0.1",
    meaning: "address of /healthz, /readyz, /metrics and the dashboard",
  },
  { name: "LLMQ_HTTP_PORT", default: "8474", meaning: "their port; 0: any free one, `off`: none" },
  {
    name: "LLMQ_HTTP_TOKEN",
    default: "",
    meaning: "token for everything but /healthz and /readyz: as bearer, or to log in to the dashboard",
    secret: true,
  },
  { name: "LLMQ_DASHBOARD", default: "on", meaning: "`off`: no dashboard" },
  {
    name: "LLMQ_DASHBOARD_PROMPTS",
    default: "show",
    meaning: "`hide`: prompts and answers are not shown in it",
  },
  {
    name: "LLMQ_DASHBOARD_DATABASE_URL",
    default: "DATABASE_URL",
    meaning: "connection of the dashboard, when its role should not be the orchestrator's",
  },
  { name: "LLMQ_LOG_LEVEL", default: "info", meaning: "`trace` to `fatal`, or `silent`" },
  { name: "LLMQ_POOL_SIZE", default: "5", meaning: "database connections of one orchestrator" },
  { name: "LLMQ_HEARTBEAT_MS", default: "5000", meaning: "how often an orchestrator says that it lives" },
  { name: "LLMQ_SHUTDOWN_GRACE_MS", default: "30000", meaning: "time for running calls to end at SIGTERM" },
  { name: "LLMQ_DATA_DIR", default: ".llmq", meaning: "data of the embedded Postgres" },
  { name: "OPENAI_API_KEY", default: "", meaning: "key of OpenAI", secret: true },
  { name: "OPENAI_BASE_URL", default: "", meaning: "another address for it" },
  { name: "ANTHROPIC_API_KEY", default: "", meaning: "key of Anthropic", secret: true },
  { name: "ANTHROPIC_BASE_URL", default: "", meaning: "another address for it" },
  { name: "GOOGLE_GENERATIVE_AI_API_KEY", default: "", meaning: "key of Google", secret: true },
] as const satisfies readonly ConfigVariable[];

export type ConfigVariableName = (typeof configVariables)[number]["name"];

export function configVariable(name: ConfigVariableName): ConfigVariable {
  const found = configVariables.find((variable) => variable.name === name);
  if (found === undefined) throw new Error(`${name} is not in the list of variables`);
  return found;
}
