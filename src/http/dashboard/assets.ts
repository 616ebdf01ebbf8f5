/** The page: static files that Vite built from `web/` into `dist/dashboard/`. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Answer } from "../answer.ts";

/** The same place from `src/http/dashboard/` and from `dist/http/dashboard/`. */
const BUILT = fileURLToPath(new URL("../../../dist/dashboard/", import.meta.url));

const TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** Addresses of the page: it looks at the path itself. */
const PAGES = /^\/(?:(?:requests|models|agents|queues)?|requests\/[^/]+)$/;
/** Vite puts a hash of the content in each name. */
const ASSETS = /^\/assets\/([\w-]+\.(\w+))$/;

/** Nothing from elsewhere, no inline script, in nobody's frame. */
export const PAGE_HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

export type Assets = {
  /** Null: no such file or page. */
  answer(path: string): Promise<Answer | null>;
};

/** They hold no data: everybody may have them. `directory` is what a build made; the default is the program's. */
export function createAssets(directory = BUILT): Assets {
  const read = (name: string) => readFile(`${directory}/${name}`).catch(() => null);
  return {
    async answer(path) {
      if (PAGES.test(path)) {
        const page = await read("index.html");
        return page === null
          ? notBuilt()
          : { status: 200, type: TYPES.html as string, body: page, headers: PAGE_HEADERS };
      }
      const [, name = "", extension = ""] = ASSETS.exec(path) ?? [];
      const type = TYPES[extension];
      const body = type === undefined ? null : await read(`assets/${name}`);
      if (type === undefined || body === null) return null;
      return {
        status: 200,
        type,
        body,
        headers: { ...PAGE_HEADERS, "cache-control": "public, max-age=31536000, immutable" },
      };
    },
  };
}

function notBuilt(): Answer {
  return {
    status: 503,
    type: "text/plain; charset=utf-8",
    body: "The dashboard's page is not built: npm ci does it, unless scripts are ignored. Run: npm run build:web\n",
  };
}
