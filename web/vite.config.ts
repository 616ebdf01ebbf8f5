import { defineConfig } from "vite";

/** Run from anywhere: `vite build web`. The orchestrator serves what comes out (src/http/dashboard/assets.ts). */
export default defineConfig({
  root: import.meta.dirname,
  build: {
    outDir: "../dist/dashboard",
    emptyOutDir: true,
    target: "es2022",
    // Its polyfill would be an inline script in older browsers' eyes, and there is one module.
    modulePreload: false,
    // A data: URL per icon is no gain, and the policy of the page is simpler without.
    assetsInlineLimit: 0,
    // Of what is bundled.
    license: { fileName: "licenses.md" },
  },
});
