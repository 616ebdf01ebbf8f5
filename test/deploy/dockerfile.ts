/** Reads a Dockerfile, and builds what it says in folders: as far as that goes without a container engine. */
import { execFile } from "node:child_process";
import { cp, mkdir, stat } from "node:fs/promises";
import { basename, delimiter, dirname, join, matchesGlob } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export type Instruction = { keyword: string; text: string };

/** Continued lines are joined, comments dropped. */
export function instructionsOf(dockerfile: string): Instruction[] {
  return dockerfile
    .replaceAll(/^\s*#.*\n/gm, "")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [, keyword = "", text = ""] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
      return { keyword, text };
    });
}

/** The last instruction of that name in the last stage: what counts for the image. */
export function lastOf(instructions: Instruction[], keyword: string): string {
  const stage = instructions.slice(instructions.findLastIndex((one) => one.keyword === "FROM"));
  return stage.findLast((one) => one.keyword === keyword)?.text ?? "";
}

/** `ENV a=b c=d` of the last stage. */
export function environmentOf(instructions: Instruction[]): Record<string, string> {
  return Object.fromEntries(
    lastOf(instructions, "ENV")
      .split(" ")
      .map((pair) => pair.split("=", 2)),
  );
}

/** Files of the checkout that git knows or would add, without those that .dockerignore names. */
export async function buildContext(root: string, dockerignore: string): Promise<string[]> {
  const patterns = dockerignore.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const { stdout } = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
  });
  const isIgnored = (path: string): boolean =>
    path !== "." && (patterns.some((pattern) => matchesGlob(path, pattern)) || isIgnored(dirname(path)));
  return stdout.split("\0").filter((path) => path !== "" && !isIgnored(path));
}

export type Build = {
  instructions: Instruction[];
  /** The checkout. */
  root: string;
  /** Paths in it, from `buildContext`. */
  context: string[];
  /** An empty folder. */
  into: string;
};

/**
 * Follows FROM, WORKDIR, COPY and RUN; each stage is a folder that stands for its file system. Commands run with
 * this process's Node and must keep to relative paths. Answers the folder of the last stage.
 */
export async function replay({ instructions, root, context, into }: Build): Promise<string> {
  const stages = new Map<string, string>();
  let stage = into;
  let workdir = "/";
  for (const { keyword, text } of instructions) {
    if (keyword === "FROM") {
      stage = join(into, String(stages.size));
      stages.set(/ AS (\S+)$/.exec(text)?.[1] ?? "", stage);
      await mkdir(stage);
    } else if (keyword === "WORKDIR") {
      workdir = join(stage, text);
      await mkdir(workdir, { recursive: true });
    } else if (keyword === "COPY") {
      const [, from, paths = ""] = /^(?:--from=(\S+) )?(.*)$/.exec(text) ?? [];
      const sources = paths.split(" ");
      const target = join(workdir, sources.pop() ?? "");
      if (from === undefined) await copyContext(root, context, sources, target);
      else
        for (const path of sources)
          await cp(join(stages.get(from) ?? "", path), target, { recursive: true, verbatimSymlinks: true });
    } else if (keyword === "RUN") {
      const path = [dirname(process.execPath), process.env.PATH].join(delimiter);
      await run("/bin/sh", ["-c", text], { cwd: workdir, env: { ...process.env, PATH: path } });
    }
  }
  return stage;
}

async function copyContext(
  root: string,
  context: string[],
  sources: string[],
  target: string,
): Promise<void> {
  for (const source of sources.map((one) => one.replace(/\/$/, ""))) {
    const isFolder = (await stat(join(root, source))).isDirectory();
    const paths = context.filter(
      (path) => source === "." || path === source || path.startsWith(`${source}/`),
    );
    if (paths.length === 0) throw new Error(`COPY ${source}: no such file in the build context`);
    for (const path of paths) {
      const inside = source === "." ? path : path.slice(source.length + 1);
      const to = isFolder ? join(target, inside) : join(target, basename(path));
      await mkdir(dirname(to), { recursive: true });
      await cp(join(root, path), to, { verbatimSymlinks: true });
    }
  }
}
