import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "./submit-options.ts";

const MIN_INTERVAL_MS = 100;
const MAX_INTERVAL_MS = 86_400_000;

/** Options of `llmq status`. */
export function addWatchOptions(command: Command): Command {
  return command
    .option("--watch", "again and again, until q or Ctrl-C; one after the other in a pipe")
    .addOption(
      new Option("--interval <duration>", "between two looks of --watch")
        .argParser(parseInterval)
        .default(2_000, "2s"),
    );
}

/** Options of `llmq tail`. */
export function addTailOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--since <duration>", "begin with what finished before, for example 10m")
        .argParser(parseDuration)
        .default(0, "from now on"),
    )
    .option("--agent <id>", "requests of this agent only")
    .addOption(
      new Option("--status <word>", "with this end only").choices(["completed", "failed", "cancelled"]),
    )
    .option("--model <name>", "of this model only")
    .option("--task-type <type>", "of this kind of work only")
    .option("--error-type <type>", "failed with this error only, for example refused")
    .option("--json", "print one JSON object per line");
}

function parseInterval(text: string): number {
  const ms = parseDuration(text);
  if (ms >= MIN_INTERVAL_MS && ms <= MAX_INTERVAL_MS) return ms;
  throw new InvalidArgumentError("Write a duration from 100ms to 1d.");
}
