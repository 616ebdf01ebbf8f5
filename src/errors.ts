/**
 * Every error code of llmq, and how errors become exit codes. Programs test codes; nobody parses messages.
 */

export type SqlErrorEntry = {
  /** SQLSTATE, class LQ. */
  code: string;
  name: string;
  meaning: string;
  whatToDo: string;
  /** Whose turn it is: the caller's input or the configuration has to change before it can work. */
  kind: "usage" | "state";
};

/** The SQLSTATEs that the SQL functions raise, each with a message, a DETAIL with values and a HINT. */
export const sqlErrors = [
  {
    code: "LQ001",
    name: "invalid_input",
    meaning: "An argument has a wrong value or shape. Nothing was stored.",
    whatToDo: "Correct what the message and the detail name, and call again.",
    kind: "usage",
  },
  {
    code: "LQ002",
    name: "not_found",
    meaning: "There is no such request, or it belongs to another role's agent.",
    whatToDo: "Check the id. Finished requests go when their retention ends.",
    kind: "state",
  },
  {
    code: "LQ003",
    name: "no_route_or_model",
    meaning: "No route, model or provider is configured for what was asked.",
    whatToDo: "Add it with llmq.configure_provider(), llmq.configure_model() and llmq.configure_route().",
    kind: "usage",
  },
  {
    code: "LQ004",
    name: "unknown_worker",
    meaning: "The worker never registered, or its heartbeat stopped and it was given up.",
    whatToDo: "Call llmq.register_worker() for a new id; what the old one held runs elsewhere.",
    kind: "state",
  },
  {
    code: "LQ005",
    name: "not_your_agent",
    meaning: "The agent belongs to a role that the caller is no member of.",
    whatToDo: "Use your own agent, or have an administrator change its owner with llmq.configure_agent().",
    kind: "state",
  },
  {
    code: "LQ006",
    name: "pgmq_missing",
    meaning: "The extension pgmq, or the pgmq queue that was named, does not exist.",
    whatToDo: "Run create extension pgmq and llmq.enable_pgmq(), or pgmq.create() for the queue.",
    kind: "usage",
  },
  {
    code: "LQ007",
    name: "illegal_transition",
    meaning: "The request is not in a status from which this is possible, or another worker holds it.",
    whatToDo: "Look at its status; a worker that lost its claim drops the outcome.",
    kind: "state",
  },
  {
    code: "LQ008",
    name: "wait_timed_out",
    meaning: "The request was not finished in the time given. It goes on.",
    whatToDo: "Wait again, or ask llmq.explain_llm_request() why it is not running.",
    kind: "state",
  },
  {
    code: "LQ009",
    name: "tool_results_refused",
    meaning: "The request has no open tool calls, was answered already, or the results do not fit the calls.",
    whatToDo: "Send exactly one result per tool call, once.",
    kind: "state",
  },
  {
    code: "LQ010",
    name: "queue_full",
    meaning:
      "More requests wait for the model than the submit or the setting refuse_above allows. Nothing was stored.",
    whatToDo: "Submit again later, or without the limit.",
    kind: "state",
  },
] as const satisfies readonly SqlErrorEntry[];

export type SqlErrorCode = (typeof sqlErrors)[number]["code"];

/** The catalogue's entry of an SQLSTATE; undefined for codes that are not llmq's. */
export function sqlErrorEntry(code: string | undefined): SqlErrorEntry | undefined {
  return sqlErrors.find((entry) => entry.code === code);
}

/** 0: done. 1: it failed. 2: the command line, an input or the configuration is wrong. */
export type ExitCode = 0 | 1 | 2;

/** An error for the person at the terminal: printed without a stack trace. */
export class CommandError extends Error {
  override readonly name: string = "CommandError";
  readonly exitCode: ExitCode = 1;
  /** The next step; printed below the message. */
  readonly hint: string | null;

  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint ?? null;
  }
}

/** The command line, an input file or the configuration has to change: exit code 2. */
export class UsageError extends CommandError {
  override readonly name: string = "UsageError";
  override readonly exitCode: ExitCode = 2;
}
