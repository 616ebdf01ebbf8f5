import type { Config, Environment } from "../config.ts";
import type { ExitCode } from "../errors.ts";
import type { Terminal } from "./terminal.ts";

/** What every command is given; commands never touch `process`. */
export type CommandContext = {
  config: Config;
  /** For what is looked up by name: the variables that providers name for their keys. */
  env: Environment;
  /** Standard output: the command's answer. */
  out: Terminal;
  /** Standard error: progress, warnings, errors. */
  err: Terminal;
  /** Standard input; read only by commands that say so. */
  stdin: NodeJS.ReadStream;
  /** Aborts at the first SIGINT or SIGTERM: come to an orderly end. */
  stopSignal: AbortSignal;
  /** Aborts at the second: leave at once. */
  hurrySignal: AbortSignal;
  /** Of this package. */
  version: string;
};

/** Errors are thrown (CommandError, UsageError, or as the database raised them) and printed in one place. */
export type Command<Options = object> = (context: CommandContext, options: Options) => Promise<ExitCode>;
