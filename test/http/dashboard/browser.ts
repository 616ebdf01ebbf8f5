import { access, constants, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { build } from "vite";
import { root } from "../../../scripts/sql-sources.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Chromium or Chrome on the PATH; null: there is none. */
export async function findBrowser(): Promise<string | null> {
  for (const directory of ["/usr/bin", ...(process.env.PATH ?? "").split(":")]) {
    for (const name of NAMES) {
      const path = join(directory, name);
      const runs = await access(path, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (runs) return path;
    }
  }
  return null;
}

export function launch(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, args: ARGUMENTS });
}

/** The page as its sources are now, in a directory of its own. */
export async function buildPage(): Promise<{ directory: string; remove(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), "llmq-page-"));
  await build({ configFile: `${root}web/vite.config.ts`, logLevel: "warn", build: { outDir: directory } });
  return { directory, remove: () => rm(directory, { recursive: true, force: true }) };
}

export type Visit = {
  page: Page;
  /** What the page asked of other hosts, what its policy forbade, and what went wrong in its scripts. */
  complaints: string[];
  close(): Promise<void>;
};

/** A browser of its own, as far as cookies and settings go. */
export async function visit(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  const { host } = new URL(url);
  page.on("request", (request) => {
    if (new URL(request.url()).host !== host) complaints.push(`asks ${request.url()}`);
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text()))
      complaints.push(message.text());
  });
  await page.goto(url);
  return { page, complaints, close: () => context.close() };
}
