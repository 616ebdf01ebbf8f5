import { randomUUID } from "node:crypto";
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";

/**
 * Puts the control and SQL files of the pgmq extension, taken from the optional package
 * `@electric-sql/pglite-pgmq`, into `<shareDirectory>/extension`, so that `create extension pgmq` works. It is
 * plain SQL: no library to load. Files are renamed into place and the control file comes last, so two
 * processes can do this at once and a server never sees half of it.
 *
 * @param shareDirectory on PostgreSQL 18 any directory named in `extension_control_path`, before that the
 *   server's own share directory.
 * @returns false when the package is not installed.
 */
export async function installPgmq(shareDirectory: string): Promise<boolean> {
  const archive = findArchive();
  if (!archive) return false;
  const files = filesOfTar(gunzipSync(await readFile(archive)))
    .filter((file) => /^pgmq(--[\d.-]+\.sql|\.control)$/.test(basename(file.name)))
    .sort((a, b) => Number(a.name.endsWith(".control")) - Number(b.name.endsWith(".control")));
  const directory = join(shareDirectory, "extension");
  await mkdir(directory, { recursive: true });
  for (const file of files) {
    const path = join(directory, basename(file.name));
    const present = await readFile(path).catch(() => undefined);
    if (present?.equals(file.content)) continue;
    const temporary = `${path}.${randomUUID()}`;
    await writeFile(temporary, file.content);
    await chmod(temporary, 0o644);
    await rename(temporary, path);
  }
  return true;
}

function findArchive(): string | undefined {
  try {
    const entry = createRequire(import.meta.url).resolve("@electric-sql/pglite-pgmq");
    return join(dirname(entry), "pgmq.tar.gz");
  } catch {
    return undefined;
  }
}

/** The regular files of a tar archive (POSIX ustar: blocks of 512 bytes, a header before each file). */
function filesOfTar(tar: Buffer): { name: string; content: Buffer }[] {
  const files: { name: string; content: Buffer }[] = [];
  const text = (from: number, length: number) =>
    tar.toString("utf8", from, from + length).replace(/\0.*$/s, "");
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12).trim() || "0", 8);
    const type = text(at + 156, 1);
    if (type === "0" || type === "") {
      files.push({ name: text(at, 100), content: tar.subarray(at + 512, at + 512 + size) });
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
