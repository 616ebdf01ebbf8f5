import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const bin = fileURLToPath(new URL("../../bin/llmq.js", import.meta.url));

export type CliResult = { code: number | null; stdout: string; stderr: string };

export type CliRun = {
  /** Settles when the process has ended. */
  result: Promise<CliResult>;
  kill(signal: NodeJS.Signals): void;
  /** What it has printed so far. */
  printed(): string;
  /** Reads no more of what it prints, as `| head` does. */
  hangUp(): void;
};

export type CliOptions = { databaseUrl?: string; env?: Record<string, string>; stdin?: string; cwd?: string };

/** Starts the real command in a process of its own, with nothing of this one's environment but the path. */
export function startCli(args: string[], options: CliOptions = {}): CliRun {
  const child = spawn(process.execPath, [bin, ...args], {
    env: {
      PATH: process.env.PATH,
      TMPDIR: process.env.TMPDIR,
      ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl }),
      ...options.env,
    },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.end(options.stdin ?? "");
  const result = new Promise<CliResult>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  return {
    result,
    kill: (signal) => void child.kill(signal),
    printed: () => stdout,
    hangUp: () => void child.stdout.destroy(),
  };
}

export function runCli(args: string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(args, options).result;
}
