import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    pool: "forks",
    // Each worker also keeps a PostgreSQL busy: more would only make tests wait for each other.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 15_000 } },
    teardownTimeout: 60_000,
    // A machine that stalls must not block a landing; the report marks a test that passed only the second time.
    retry: process.env.CI ? 1 : 0,
  },
});
