import { execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

/** The unprivileged account that PostgreSQL runs as when this process is root; undefined: our own account. */
export type Account = { name: string; uid: number; gid: number } | undefined;

/** What one finished program said. `code` is null when it was ended by a signal or by the time limit. */
export type Finished = { code: number | null; output: string };

/** Why the embedded server cannot be used, with the next step in `hint`. */
export class EmbeddedPostgresError extends Error {
  readonly code: "not_installed" | "no_account" | "unusable_binaries" | "unusable_data" | "start_failed";
  readonly hint: string;

  constructor(code: EmbeddedPostgresError["code"], message: string, hint: string) {
    super(message);
    this.name = "EmbeddedPostgresError";
    this.code = code;
    this.hint = hint;
  }
}

/**
 * PostgreSQL refuses to run as root. `owner` is the uid that owns an existing data directory: a server must
 * go on as the account it began with.
 */
export function unprivilegedAccount(owner: number | undefined): Account {
  if (process.getuid?.() !== 0) return undefined;
  const candidates = owner ? [String(owner), "postgres", "nobody"] : ["postgres", "nobody"];
  for (const candidate of candidates) {
    try {
      const ask = (flags: string) =>
        execFileSync("id", [flags, "--", candidate], {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "ignore"],
        });
      return { name: ask("-un").trim(), uid: Number(ask("-u")), gid: Number(ask("-g")) };
    } catch {
      // No such account here: the next one.
    }
  }
  throw new EmbeddedPostgresError(
    "no_account",
    "PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody to run it as",
    "Start as another user, create a user postgres, or set DATABASE_URL.",
  );
}

/** Runs a program to its end as `account`, in `/`, without the caller's `PG*` and locale variables. */
export function run(file: string, args: string[], account: Account, timeoutMs = 120_000): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      ...(account && { uid: account.uid, gid: account.gid }),
      cwd: "/",
      env: cleanEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
    });
    // spawn's own `timeout` leaves its timer behind when the program cannot be started.
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    let output = "";
    const finish = (code: number | null) => {
      clearTimeout(timer);
      resolve({ code, output });
    };
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.on("error", (error) => {
      output += error.message;
      finish(null);
    });
    child.on("close", finish);
  });
}

/** initdb looks for messages in English, and PGDATA, PGPORT and their kin are meant for some other server. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name));
  return { ...Object.fromEntries(kept), LC_ALL: "C" };
}

/** Whether a process runs, ours or not. One that has ended and that nobody has waited for does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** In a container whose first process reaps nobody, an ended server stays in the process table for ever. */
function isZombie(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** The command line of a process, or undefined where the system does not tell. */
export function commandLine(pid: number): string | undefined {
  try {
    if (existsSync("/proc/self/cmdline")) {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    }
    return execFileSync("ps", ["-p", String(pid), "-o", "args="], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}
