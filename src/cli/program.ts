/** The command line: names, options and help. What a command does is in the file of its name. */
import { Command, CommanderError, Option } from "commander";
import { type Config, configVariables, readConfig, withDatabaseUrl } from "../config.ts";
import type { ExitCode } from "../errors.ts";
import type { CommandContext, Command as Run } from "./context.ts";
import { addTailOptions, addWatchOptions } from "./follow-options.ts";
import { interruptible } from "./interruptible.ts";
import { printError } from "./report-error.ts";
import { addSubmitOptions } from "./submit-options.ts";
import { table } from "./terminal.ts";

/** The context before the configuration is read. */
export type Surroundings = Omit<CommandContext, "config">;

type Definition<Options> = {
  load(): Promise<Run<Options>>;
  /**
   * Which signals the command answers itself: `both` (start, demo), the first (`stop`: the second ends it), or
   * none. What is left to us ends the command at once.
   */
  handles: "both" | "stop" | "none";
};

/** Runs one command line (without `node llmq`). Never rejects: errors are printed to `err`. */
export async function runProgram(args: string[], surroundings: Surroundings): Promise<ExitCode> {
  const { err } = surroundings;
  let exitCode: ExitCode = 0;
  let verbose = false;
  const program = createProgram(surroundings, async (definition, options) => {
    const env = withDatabaseUrl(surroundings.env, options.databaseUrl);
    const config = readConfig(env);
    verbose = isVerbose(config);
    const run = await definition.load();
    exitCode = await untilInterrupted(
      run({ ...surroundings, env, config }, options),
      definition,
      surroundings,
    );
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    err.clearProgress();
    // Commander has printed it already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return printError(err, error, verbose);
  }
}

type Start = <Options>(
  definition: Definition<Options>,
  options: Options & { databaseUrl?: string },
) => Promise<void>;

function createProgram(surroundings: Surroundings, start: Start): Command {
  const program = new Command("llmq");
  configure(program, surroundings);
  program
    .description("A durable queue for LLM requests that lives in your Postgres.")
    .version(surroundings.version, "--version", "print the version")
    .option("--database-url <url>", "the database, instead of DATABASE_URL");
  const define = <Options extends object>(command: Command, definition: Definition<Options>) =>
    command.action(() => start(definition, command.optsWithGlobals<Options & { databaseUrl?: string }>()));

  define(
    program
      .command("migrate")
      .description("create the schema llmq, or bring it up to date; safe to run from many places"),
    { load: async () => (await import("./migrate.ts")).runMigrate, handles: "stop" },
  );
  define(
    program
      .command("start")
      .description("run an orchestrator: claim requests, call the models, store the answers"),
    { load: async () => (await import("./start.ts")).runStart, handles: "both" },
  );
  define(
    program
      .command("demo")
      .description("show every outcome on an embedded Postgres, from nothing")
      .option("--keep", "leave it running afterwards"),
    { load: async () => (await import("./demo.ts")).runDemo, handles: "both" },
  );
  const submit = program.command("submit").description("submit one request and print its id, or its answer");
  addSubmitOptions(submit).action((message: string[]) =>
    start(
      { load: async () => (await import("./submit.ts")).runSubmit, handles: "stop" },
      { ...submit.optsWithGlobals(), message },
    ),
  );
  const status = program.command("status").description("the queue in one screen").addOption(jsonOption());
  define(addWatchOptions(status), {
    load: async () => (await import("./status.ts")).runStatus,
    handles: "stop",
  });
  define(addTailOptions(program.command("tail").description("finished requests as they come")), {
    load: async () => (await import("./tail.ts")).runTail,
    handles: "stop",
  });
  const explain = program
    .command("explain")
    .description("why a request is not running, or what happened to it")
    .argument("<id>", "the request")
    .addOption(jsonOption());
  explain.action((id: string) =>
    start(
      { load: async () => (await import("./explain.ts")).runExplain, handles: "none" },
      { ...explain.optsWithGlobals(), id },
    ),
  );
  define(
    program
      .command("prices")
      .description("what the configured models cost; budgets and costs count by it")
      .option("--import", "take the prices of the installed package genai-prices again")
      .addOption(jsonOption()),
    { load: async () => (await import("./prices.ts")).runPrices, handles: "none" },
  );
  define(
    program
      .command("cleanup")
      .description("remove finished requests past the retention, now; orchestrators do it every hour")
      .option(
        "--retention <interval>",
        "keep this long, as Postgres writes intervals; default: the configured days",
      ),
    { load: async () => (await import("./cleanup.ts")).runCleanup, handles: "stop" },
  );
  define(
    program
      .command("doctor")
      .description("check the whole set-up and say what to do")
      .addOption(jsonOption()),
    {
      load: async () => (await import("./doctor.ts")).runDoctor,
      handles: "none",
    },
  );
  return program;
}

function configure(program: Command, { out, err }: Surroundings): void {
  program
    .exitOverride()
    .configureOutput({
      writeOut: (text) => out.line(text.trimEnd()),
      writeErr: (text) => err.line(text.trimEnd()),
      getOutHelpWidth: () => Math.min(out.width, 110),
      getErrHelpWidth: () => Math.min(err.width, 110),
      getOutHasColors: () => out.isTTY,
      getErrHasColors: () => err.isTTY,
      outputError: (text, write) => write(text.replace(/^error:/, err.style(["red", "bold"], "error:"))),
    })
    .configureHelp({
      showGlobalOptions: true,
      styleTitle: (text) => out.style("bold", text),
      styleCommandText: (text) => out.style("cyan", text),
      styleSubcommandText: (text) => out.style("cyan", text),
      styleOptionText: (text) => out.style("cyan", text),
    })
    .showHelpAfterError("(llmq --help shows what there is)")
    .helpOption("--help", "show this")
    .helpCommand(false)
    .addHelpText("after", () => variablesHelp(out));
}

function variablesHelp(out: Surroundings["out"]): string {
  const rows = configVariables.map((one) => [one.name, one.default, one.meaning.replaceAll("`", "")]);
  return [
    "",
    out.style("bold", "Environment:"),
    ...table(out, ["variable", "default", "meaning"], rows).slice(1),
    "",
    "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.",
  ].join("\n");
}

function jsonOption(): Option {
  return new Option("--json", "print JSON");
}

function isVerbose(config: Config): boolean {
  return config.logLevel === "debug" || config.logLevel === "trace";
}

/** Ends the command at the first signal that it does not answer itself. */
async function untilInterrupted<Options>(
  work: Promise<ExitCode>,
  definition: Definition<Options>,
  { stopSignal, hurrySignal }: Surroundings,
): Promise<ExitCode> {
  if (definition.handles === "both") return await work;
  return await interruptible(work, definition.handles === "stop" ? hurrySignal : stopSignal);
}
