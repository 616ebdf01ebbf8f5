/** The command `llmq`: signals, exit codes and the process live here and nowhere else. */
import { readFileSync } from "node:fs";
import { runProgram } from "./cli/program.ts";
import { createTerminal } from "./cli/terminal.ts";

const stop = new AbortController();
const hurry = new AbortController();

/** First signal: come to an orderly end. Second: at once. Third: the process just ends. */
function onSignal(): void {
  if (hurry.signal.aborted) process.exit(1);
  (stop.signal.aborted ? hurry : stop).abort();
}
process.on("SIGINT", onSignal);
process.on("SIGTERM", onSignal);

// npm ends at a SIGTERM without passing it on: under `npx llmq` and `npm run`, its end is the signal.
if (process.env.npm_command !== undefined) {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    onSignal();
  }, 500);
  watch.unref();
}

// `llmq status | head` closes our output early; that is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

process.exitCode = await runProgram(process.argv.slice(2), {
  env: process.env,
  out: createTerminal(process.stdout),
  err: createTerminal(process.stderr),
  stdin: process.stdin,
  stopSignal: stop.signal,
  hurrySignal: hurry.signal,
  version: packageVersion(),
});
// Whatever a library left open (a keep-alive socket, an idle timer) must not keep a finished command alive.
process.stdout.write("", () => process.stderr.write("", () => process.exit()));

function packageVersion(): string {
  const file = new URL("../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
