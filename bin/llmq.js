#!/usr/bin/env node
// In a clone the TypeScript sources run directly, so that `npx llmq` never runs a stale build; the
// published package carries no sources and runs `dist`.
import { existsSync } from "node:fs";

if (existsSync(new URL("../src/cli.ts", import.meta.url))) {
  const { register } = await import("tsx/esm/api");
  register();
  await import("../src/cli.ts");
} else {
  await import("../dist/cli.js");
}
